//! Runs requests and logs them.

use super::*;

/// What audit writes down.
#[derive(Default)]
pub(super) struct Log(pub(super) Vec<(Record, Vec<u8>)>);

impl Log {
    fn append(&mut self, record: Record, text: &[u8]) {
        self.0.push((record, text.to_vec()));
    }

    /// Links the entries; the export as a console prints it, and the hash of the newest.
    pub(super) fn export(&mut self) -> (String, String) {
        let mut previous = [0; 32];
        let mut lines = vec!["llm> llmctl audit --json".to_owned()];
        let opening = Opening {
            anchor: previous,
            first: 1,
        };
        lines.push(opening.to_string());
        for (i, (record, text)) in self.0.iter_mut().enumerate() {
            record.sequence = i as u64 + 1;
            record.time_us = 1000 * record.sequence;
            record.previous = previous;
            record.text_bytes = text.len() as u32;
            previous = entry_hash(record, text);
            lines.push(Line { record, text }.to_string());
        }
        let ending = Ending {
            head: previous,
            entries: self.0.len() as u64,
            filtered: false,
        };
        lines.push(ending.to_string());
        lines.push("llm> exit".to_owned());
        (lines.join("\r\n"), Hex(&previous).to_string())
    }

    /// The same without the texts, as where the policy keeps none.
    pub(super) fn without_texts(&self) -> Self {
        let entries = self.0.iter();
        Self(entries.map(|(record, _)| (*record, Vec::new())).collect())
    }
}

/// A turn to run: of which session, from what, how, and after how many tokens it is cancelled.
pub(super) struct Request {
    pub(super) slot: usize,
    pub(super) turn: u32,
    pub(super) parts: Vec<(PartKind, &'static str)>,
    /// Whether the answer is bound to the format of the image.
    pub(super) format: bool,
    pub(super) seed: u64,
    pub(super) max_tokens: u32,
    pub(super) cancel_after: Option<u32>,
}

impl Request {
    /// As it came.
    fn bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; MAX_PARTS_BYTES];
        let mut writer = PartsWriter::new(&mut buffer);
        for (kind, text) in &self.parts {
            writer.push(*kind, text.as_bytes());
        }
        writer.finish().unwrap().as_bytes().to_vec()
    }

    fn of(&self, wanted: PartKind) -> impl Iterator<Item = &'static str> {
        let parts = self.parts.iter();
        parts
            .filter(move |(kind, _)| *kind == wanted)
            .map(|(_, text)| *text)
    }
}

/// A format of one policy, as its file has it.
pub(super) fn formats() -> Vec<u8> {
    let format = format_compiler::compile(format_compiler::Source::Regex("(yes|no)( [a-z]{3})*"));
    formats::encode::image([("short", &format.unwrap())]).unwrap()
}

/// The requests of a round run at once; rounds one after another.
fn run(rounds: &[Vec<Request>]) -> Log {
    run_on(&fs::read(TINY).unwrap(), rounds)
}

pub(super) fn run_on(file: &[u8], rounds: &[Vec<Request>]) -> Log {
    let image = formats();
    let named = Formats::read(&image).unwrap();
    let mut costs = vec![0; named.states()];
    let sha256_of_format = sha256(named.get(0).unwrap().table);
    let mut memory = vec![0; 16 << 20];
    let at = memory.as_ptr().align_offset(64);
    let options = LoadOptions {
        context: DEFAULT_CONTEXT_TOKENS,
        kv: KvType::Q8,
        sessions: 4,
        positions: Positions::Exactly(4 * DEFAULT_CONTEXT_TOKENS),
        max_prompt_bytes: MAX_PROMPT_BYTES,
        cpu: Cpu::detect(),
        workers: 1,
    };
    let len = (memory.len() - at) & !63;
    let arena = Arena::new(&mut memory[at..at + len]).unwrap();
    let mut backend = TransformerBackend::new(arena, options);
    backend.load(file).unwrap();
    backend.set_formats(FormatTable::new(named, &mut costs).unwrap());

    let mut log = Log::default();
    log.append(Record::new(Kind::Boot), &[]);
    let mut number = 0;
    for round in rounds {
        let mut running = Vec::new();
        for request in round {
            number += 1;
            let mut record = Record::new(Kind::Admit);
            record.request = number;
            record.user = UserName::new("guest").unwrap();
            record.session = request.slot as u32 + 1;
            record.turn = request.turn;
            let parts = request.bytes();
            record.prompt_bytes = parts.len() as u32;
            record.prompt_sha256 = sha256(&parts);
            record.model_sha256 = sha256(file);
            record.kv_type = engine::KvType::Q8 as u16;
            record.numerics = NUMERICS_VERSION;
            record.params = InferParams::default();
            record.params.sampling.seed = request.seed;
            record.params.max_tokens = request.max_tokens;
            let choices: Vec<&str> = request.of(PartKind::Choice).collect();
            let format = match (request.format, choices.is_empty()) {
                (true, _) => Some(Format::Named(0)),
                (false, false) => Some(Format::Choices(Choices::new(choices.clone()).unwrap())),
                (false, true) => None,
            };
            if let Some(format) = &format {
                record.format_sha256 = match format {
                    Format::Named(_) => sha256_of_format,
                    Format::Choices(_) => sha256(choices.join("\n").as_bytes()),
                };
            }
            log.append(record, &parts);
            let turn = Turn {
                fresh: request.turn == 1,
                format,
                stops: Stops::new(request.of(PartKind::Stop)).unwrap(),
                ..Turn::first(request.slot)
            };
            let params = GenerateParams::from(record.params);
            let text = request.of(PartKind::Text).next();
            let segments: Vec<Segment<'_>> = request
                .parts
                .iter()
                .filter_map(|(kind, text)| {
                    let role = match kind {
                        PartKind::System => Role::System,
                        PartKind::User => Role::User,
                        PartKind::Assistant => Role::Assistant,
                        _ => return None,
                    };
                    Some(Segment::new(role, text))
                })
                .collect();
            let prompt = match text {
                Some(text) => Prompt::Text(text.as_bytes()),
                None => Prompt::Segments(&segments),
            };
            match backend.start(turn, prompt, &params) {
                Ok(_) => running.push((request, record, Sha256::new())),
                Err(_) => {
                    record.kind = Kind::Fail as u16;
                    record.code = ErrorCode::ContextFull as u16;
                    log.append(record, &[]);
                }
            }
        }
        let mut text = Text::new();
        loop {
            let (slot, step) = match backend.step(&mut text) {
                Progress::Idle => break,
                Progress::Session(slot, step) => (slot, step.unwrap()),
                _ => continue,
            };
            let (request, record, output) = running
                .iter_mut()
                .find(|(request, ..)| request.slot == slot)
                .unwrap();
            match step {
                Step::Prefill { .. } => {}
                Step::Token { id } => {
                    record.generated_tokens += 1;
                    output.update(id.to_le_bytes());
                    output.update((text.len() as u32).to_le_bytes());
                    output.update(text.as_bytes());
                    if request.cancel_after == Some(record.generated_tokens) {
                        backend.cancel(slot);
                    }
                }
                Step::Finished {
                    reason,
                    prompt_tokens,
                    generated,
                } => {
                    assert_eq!(generated, record.generated_tokens);
                    record.kind = Kind::Finish as u16;
                    record.code = match reason {
                        FinishReason::EndOfText => 1,
                        FinishReason::MaxTokens => 2,
                        FinishReason::ContextFull => 3,
                        FinishReason::Cancelled => 4,
                        FinishReason::Stop => 5,
                    };
                    record.prompt_tokens = prompt_tokens;
                    record.output_sha256 = output.clone().finalize().into();
                    log.append(*record, &[]);
                }
            }
        }
    }
    log
}

/// Three sessions of several turns: at once, cancelled, with scripts that need several tokens for a character, one
/// that does not fit.
pub(super) fn conversations() -> Log {
    let request = |slot, turn, prompt, max_tokens, cancel_after| Request {
        slot,
        turn,
        parts: vec![(PartKind::Text, prompt)],
        format: false,
        seed: 7 + slot as u64,
        max_tokens,
        cancel_after,
    };
    let long: &str = Box::leak("the king and the queen ".repeat(150).into_boxed_str());
    run(&[
        vec![
            request(0, 1, "Once upon a time", 20, None),
            request(1, 1, "Ein Märchen: 猫\n\"zwei\"", 30, Some(5)),
            request(2, 1, "The king said", 12, Some(11)),
        ],
        vec![
            request(0, 2, " and then", 16, None),
            request(1, 2, "Weiter 😀", 9, None),
        ],
        vec![request(1, 3, long, 9, None)],
        vec![
            request(1, 4, "The end", 7, None),
            request(2, 2, "He went", 5, None),
        ],
    ])
}

use llm_core::gguf::Gguf;
use llm_core::testing::GgufWriter;
use llmtool::vocabulary::HostVocabulary;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    for path in &args {
        let template = std::fs::read_to_string(path).unwrap();
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        let mut types = Vec::new();
        for t in ["<unk>", "<s>", "</s>"] { tokens.push(t.into()); types.push(3); }
        for b in 0..=255u8 { tokens.push(format!("<0x{b:02X}>").into_bytes()); types.push(6); }
        let extra: Vec<String> = std::fs::read_to_string("/tmp/specials.txt").unwrap().lines().map(str::to_owned).collect();
        for t in &extra { tokens.push(t.as_bytes().to_vec()); types.push(3); }
        let mut w = GgufWriter::default();
        w.str("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", &tokens).i32s("tokenizer.ggml.token_type", &types)
         .f32s("tokenizer.ggml.scores", &vec![0.0; tokens.len()]);
        let file = w.finish();
        let gguf = Gguf::parse(&file).unwrap();
        let v = HostVocabulary::load("x".as_ref(), &gguf).unwrap();
        let name = path.rsplit('/').next().unwrap();
        match llmtool::chat::derive(template.strip_suffix('\n').unwrap_or(&template), &v.view(), llmtool::chat::jinja::Date::parse("2024-07-26").ok()) {
            Ok((s, n)) => println!("OK {name}\n   {s:?} {n}"),
            Err(e) => println!("NO {name}: {}", e.to_string().chars().take(420).collect::<String>()),
        }
    }
}

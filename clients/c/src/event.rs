//! Converts messages from audit to events of the header.

use crate::adapter_types::*;
use crate::signature::sel4_llm_signature_t;
use crate::types::*;
use client::{
    AdapterEntry, AdapterInfo, AdapterOrigin, Budget, Event, Exported, Failure, FinishReason,
    Finished, FormatEntry, Incoming, ModelEntry, Notice, Progress, Signature, Status, Training,
    Tuned, User,
};
use core::ffi::c_char;
use sel4_llm_client as client;
use sel4_llm_event_kind_t::*;

const NONE: sel4_llm_event_t = sel4_llm_event_t::NONE;

/// Returns `None` for the answer to a request that C cannot make.
pub(crate) fn of(incoming: &Incoming<'_>) -> Option<sel4_llm_event_t> {
    let event = match incoming {
        Incoming::Notice(notice) => of_notice(notice),
        Incoming::Part { event, .. } | Incoming::Last { event, .. } => of_answer(event)?,
        Incoming::Lost { .. } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_LOST,
            ..NONE
        },
    };
    Some(sel4_llm_event_t {
        request: incoming.request().map_or(0, |request| request.number()),
        is_end: incoming.is_end(),
        ..event
    })
}

fn of_notice(notice: &Notice<'_>) -> sel4_llm_event_t {
    match *notice {
        Notice::Ready(user) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_READY,
            user: of_user(&user),
            ..NONE
        },
        Notice::Progress(progress) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_PROGRESS,
            progress: of_progress(&progress),
            ..NONE
        },
        Notice::Fault { fault, count } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_FAULT,
            fault: sel4_llm_fault_t {
                count,
                ip: fault.ip,
                address: fault.address,
            },
            ..NONE
        },
        Notice::Recovered { restarts, .. } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_RECOVERED,
            restarts,
            ..NONE
        },
        Notice::Failed { failure, detail } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_SYSTEM_FAILED,
            failure: of_failure(failure),
            text: of_text(detail, 0),
            ..NONE
        },
        Notice::Restarted => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_RESTARTED,
            ..NONE
        },
    }
}

fn of_answer(event: &Event<'_>) -> Option<sel4_llm_event_t> {
    Some(match *event {
        Event::Text { tokens, text } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_TEXT,
            text: of_text(text, tokens),
            ..NONE
        },
        Event::Finished(finished) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_FINISHED,
            finished: of_finished(&finished),
            ..NONE
        },
        Event::Failed { failure, detail } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_FAILED,
            failure: of_failure(failure),
            text: of_text(detail, 0),
            ..NONE
        },
        Event::Model(model) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_MODEL,
            model: of_model(&model),
            ..NONE
        },
        Event::Listed { count } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_LISTED,
            count,
            ..NONE
        },
        Event::Status(status) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_STATUS,
            status: of_status(&status),
            ..NONE
        },
        Event::Budget(budget) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_BUDGET,
            budget: of_budget(&budget),
            ..NONE
        },
        Event::Progress(progress) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_PROGRESS,
            progress: of_progress(&progress),
            ..NONE
        },
        Event::Adapter(adapter) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_ADAPTER,
            adapter: of_adapter(&adapter),
            ..NONE
        },
        Event::Training(training) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_TRAINING,
            training: of_training(&training),
            ..NONE
        },
        Event::Tuned(tuned) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_TUNED,
            tuned: of_tuned(&tuned),
            ..NONE
        },
        Event::AdapterLoaded { name, info } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_ADAPTER_LOADED,
            adapter: sel4_llm_adapter_t {
                name: of_name(name.as_str()),
                loaded: true,
                ..of_adapter_info(&info)
            },
            ..NONE
        },
        Event::AdapterPart { offset, bytes } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_ADAPTER_PART,
            text: of_text(bytes, 0),
            offset,
            ..NONE
        },
        Event::Exported(exported) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_EXPORTED,
            exported: of_exported(&exported),
            ..NONE
        },
        Event::Examples {
            count,
            bytes,
            limit,
        } => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_EXAMPLES,
            examples: sel4_llm_examples_t {
                count,
                bytes,
                limit,
            },
            ..NONE
        },
        Event::Format(format) => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_FORMAT,
            format: of_format(&format),
            ..NONE
        },
        Event::Done => sel4_llm_event_t {
            kind: SEL4_LLM_EVENT_DONE,
            ..NONE
        },
        _ => return None,
    })
}

const fn of_progress(progress: &Progress) -> sel4_llm_progress_t {
    sel4_llm_progress_t {
        done: progress.done,
        total: progress.total,
    }
}

const fn of_text(text: &[u8], tokens: u32) -> sel4_llm_text_t {
    sel4_llm_text_t {
        bytes: text.as_ptr().cast(),
        length: text.len(),
        tokens,
    }
}

const fn of_failure(failure: Failure) -> sel4_llm_failure_t {
    let Failure { code, value, limit } = failure;
    sel4_llm_failure_t {
        code: code as u32,
        value,
        limit,
    }
}

const fn of_finished(finished: &Finished) -> sel4_llm_finished_t {
    use sel4_llm_finish_t::*;
    sel4_llm_finished_t {
        reason: match finished.reason {
            FinishReason::EndOfText => SEL4_LLM_FINISH_END_OF_TEXT,
            FinishReason::MaxTokens => SEL4_LLM_FINISH_MAX_TOKENS,
            FinishReason::ContextFull => SEL4_LLM_FINISH_CONTEXT_FULL,
            FinishReason::Cancelled => SEL4_LLM_FINISH_CANCELLED,
            FinishReason::Stop => SEL4_LLM_FINISH_STOP,
        },
        prompt_tokens: finished.prompt_tokens,
        generated_tokens: finished.generated_tokens,
        turn: finished.turn,
        first_token_us: finished.first_token_us,
        total_us: finished.total_us,
        held_us: finished.held_us,
    }
}

const fn of_signature(signature: Signature) -> sel4_llm_signature_t {
    use sel4_llm_signature_t::*;
    match signature {
        Signature::Missing => SEL4_LLM_SIGNATURE_MISSING,
        Signature::Unchecked => SEL4_LLM_SIGNATURE_UNCHECKED,
        Signature::Good => SEL4_LLM_SIGNATURE_GOOD,
        Signature::Bad => SEL4_LLM_SIGNATURE_BAD,
    }
}

fn of_model(model: &ModelEntry) -> sel4_llm_model_t {
    sel4_llm_model_t {
        name: of_name(model.name.as_str()),
        loaded: model.loaded,
        signature: of_signature(model.signature),
        file_bytes: model.file_bytes,
    }
}

fn of_status(status: &Status) -> sel4_llm_status_t {
    sel4_llm_status_t {
        model: of_name(status.name.as_str()),
        template_name: of_name(status.model.template.as_str()),
        roles_separated: status.model.separates,
        parameters: status.model.parameters,
        arena_bytes: status.arena.capacity,
        arena_used: status.arena.current(),
        context: status.model.context,
        cache_positions: status.kv_positions,
        cache_free: status.kv_free,
        active: status.active,
        waiting: status.waiting,
        sessions: status.sessions,
        restarts: status.restarts,
    }
}

fn of_format(format: &FormatEntry) -> sel4_llm_format_t {
    sel4_llm_format_t {
        name: of_name(format.name.as_str()),
        allowed: format.allowed,
        states: format.states,
        bytes: format.bytes,
        sha256: format.sha256,
    }
}

fn of_budget(budget: &Budget) -> sel4_llm_budget_t {
    sel4_llm_budget_t {
        user: of_name(budget.user.as_str()),
        tokens: budget.tokens,
        available: budget.available(),
        period_us: budget.period_us,
        left_us: budget.left_us,
    }
}

fn of_user(user: &User) -> sel4_llm_user_t {
    sel4_llm_user_t {
        name: of_name(user.name.as_str()),
        role: of_name(user.role.as_str()),
    }
}

const fn of_adapter_info(info: &AdapterInfo) -> sel4_llm_adapter_t {
    sel4_llm_adapter_t {
        rank: info.rank,
        alpha: info.alpha,
        matrices: info.matrices,
        parameters: info.parameters,
        arena_bytes: info.bytes,
        ..sel4_llm_adapter_t::NONE
    }
}

fn of_adapter(adapter: &AdapterEntry) -> sel4_llm_adapter_t {
    sel4_llm_adapter_t {
        name: of_name(adapter.name.as_str()),
        loaded: adapter.loaded,
        made_here: adapter.origin == AdapterOrigin::Device,
        signature: of_signature(adapter.signature),
        file_bytes: adapter.file_bytes,
        sha256: adapter.sha256,
        base_sha256: adapter.base_sha256,
        ..of_adapter_info(&adapter.info)
    }
}

const fn of_training(training: &Training) -> sel4_llm_training_t {
    let progress = &training.progress;
    sel4_llm_training_t {
        step: progress.step,
        steps: progress.steps,
        tokens: progress.tokens,
        loss: progress.loss,
        longest: progress.longest,
        alone: progress.alone,
        elapsed_us: training.elapsed_us,
    }
}

fn of_tuned(tuned: &Tuned) -> sel4_llm_tuned_t {
    sel4_llm_tuned_t {
        name: of_name(tuned.name.as_str()),
        sha256: tuned.sha256,
        file_bytes: tuned.file_bytes,
        tokens: tuned.tokens,
        steps: tuned.steps,
        loss: tuned.loss,
        total_us: tuned.total_us,
        not_loaded: tuned.not_loaded.map_or(0, |code| code as u32),
        on_disk: of_name(tuned.on_disk.as_str()),
        not_on_disk: tuned.not_on_disk.map_or(0, |code| code as u32),
        disk_value: tuned.disk_value,
        disk_limit: tuned.disk_limit,
    }
}

fn of_exported(exported: &Exported) -> sel4_llm_exported_t {
    sel4_llm_exported_t {
        name: of_name(exported.name.as_str()),
        file_bytes: exported.file_bytes,
        sha256: exported.sha256,
        base_sha256: exported.base_sha256,
        signature: exported.signature,
    }
}

/// Copies a name and a terminating zero: `N` is one more than the longest name.
fn of_name<const N: usize>(text: &str) -> [c_char; N] {
    let mut name = [0; N];
    let room = N.saturating_sub(1);
    for (to, from) in name.iter_mut().take(room).zip(text.bytes()) {
        *to = from as c_char;
    }
    name
}

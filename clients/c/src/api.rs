//! The functions of the header.

// The header says once, at its head, what all functions require of their caller (`cbindgen.toml`).
#![allow(clippy::missing_safety_doc)]

use crate::Result;
use crate::codes::name;
use crate::error::{Error, sel4_llm_error_t};
use crate::event;
use crate::raw::{self, Open, Out};
use crate::types::{sel4_llm_client_t, sel4_llm_event_t};
use client::{BudgetChange, Link, MAX_WAITING, Request, RequestId, SubmitError, UserName};
use core::ffi::{c_char, c_void};
use protocol::error::ErrorCode;
use sel4_llm_client as client;

pub(crate) fn told(result: Result<()>) -> sel4_llm_error_t {
    match result {
        Ok(()) => Error::SEL4_LLM_OK,
        Err(error) => error,
    }
}

/// Makes a client. Call it once, in `init`, before any other function.
///
/// `client`, `client_size`: the caller's `sel4_llm_client_t`, and its `sizeof`.
/// `from_audit`, `from_audit_size`: the region that audit writes, mapped readable.
/// `to_audit`, `to_audit_size`: the region that this domain writes.
///
/// Both regions belong to the client for as long as the domain runs: nothing else may read or write them. Nothing is
/// sent yet.
///
/// `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`, `SEL4_LLM_CLIENT_SIZE`, `SEL4_LLM_REGION_SIZE`, `SEL4_LLM_OVERLAP`,
/// `SEL4_LLM_ALREADY_INITIALISED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_init(
    client: *mut sel4_llm_client_t,
    client_size: usize,
    from_audit: *const c_void,
    from_audit_size: usize,
    to_audit: *mut c_void,
    to_audit_size: usize,
) -> sel4_llm_error_t {
    let from = (from_audit.cast(), from_audit_size);
    let to = (to_audit.cast(), to_audit_size);
    // SAFETY: the caller's promise.
    told(unsafe { raw::initialise(client, client_size, from, to) })
}

pub(crate) fn submitted(
    request: core::result::Result<RequestId, SubmitError>,
    id: Out<'_, u32>,
) -> Result<()> {
    id.write(request?.number());
    Ok(())
}

/// Sends a request without contents.
///
/// # Safety
/// As for the functions of the header: `client` is null, or was opened and nobody else uses it; `id` is null or
/// writable.
pub(crate) unsafe fn submit(
    client: *mut sel4_llm_client_t,
    request: &Request<'_>,
    id: *mut u32,
) -> sel4_llm_error_t {
    let submit = || {
        // SAFETY: the caller's promise.
        let Open { client, places, .. } = unsafe { raw::open(client)? };
        // SAFETY: as above.
        let id = unsafe { raw::out(id, &places)? };
        submitted(client.submit(request), id)
    };
    told(submit())
}

/// Lists the models in the store. Answer: `SEL4_LLM_EVENT_MODEL` for each, then `SEL4_LLM_EVENT_LISTED`,
/// `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_models(
    client: *mut sel4_llm_client_t,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit(client, &Request::Models, id) }
}

/// Asks for the state of the service. Answer: `SEL4_LLM_EVENT_STATUS`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`.
/// Errors: as for `sel4_llm_infer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_status(
    client: *mut sel4_llm_client_t,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit(client, &Request::Status, id) }
}

/// Asks for the budget of this client's user. Answer: `SEL4_LLM_EVENT_BUDGET`, `SEL4_LLM_EVENT_FAILED` or
/// `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_budget(
    client: *mut sel4_llm_client_t,
    id: *mut u32,
) -> sel4_llm_error_t {
    let request = Request::Budget {
        user: UserName::EMPTY,
        change: BudgetChange::default(),
    };
    // SAFETY: the caller's promise.
    unsafe { submit(client, &request, id) }
}

/// Asks audit to stop a request. Its end still comes as an event, with its cost so far.
///
/// `SEL4_LLM_NO_SUCH_REQUEST`: it has ended, or was never made. `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`,
/// `SEL4_LLM_NOT_INITIALISED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_cancel(
    client: *mut sel4_llm_client_t,
    id: u32,
) -> sel4_llm_error_t {
    let cancel = || {
        // SAFETY: the caller's promise.
        let Open { client, .. } = unsafe { raw::open(client)? };
        match client.cancel(RequestId::from_number(id)) {
            true => Ok(()),
            false => Err(Error::SEL4_LLM_NO_SUCH_REQUEST),
        }
    };
    told(cancel())
}

/// Like `sel4_llm_cancel`, but the request has no further event, not even its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_abandon(
    client: *mut sel4_llm_client_t,
    id: u32,
) -> sel4_llm_error_t {
    let abandon = || {
        // SAFETY: the caller's promise.
        let Open { client, .. } = unsafe { raw::open(client)? };
        match client.abandon(RequestId::from_number(id)) {
            true => Ok(()),
            false => Err(Error::SEL4_LLM_NO_SUCH_REQUEST),
        }
    };
    told(abandon())
}

/// Takes the next event from audit. It does not wait. Whenever audit signals, call it until it returns something other
/// than `SEL4_LLM_OK`, then call `sel4_llm_wants_signal`.
///
/// `event`: receives the event. Its text is in the client's memory, and valid until the next call.
///
/// `SEL4_LLM_OK`: there is an event. `SEL4_LLM_NOTHING`: there is none, and the kind of `event` is
/// `SEL4_LLM_EVENT_NONE`. `SEL4_LLM_OTHER_VERSION`: the same, and there will never be one. `SEL4_LLM_NULL_POINTER`,
/// `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`, `SEL4_LLM_NOT_INITIALISED`: `event` is unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_poll(
    client: *mut sel4_llm_client_t,
    event: *mut sel4_llm_event_t,
) -> sel4_llm_error_t {
    let poll = || {
        // SAFETY: the caller's promise.
        let open = unsafe { raw::open(client)? };
        let (client, inbox, places) = open.into_parts();
        // SAFETY: as above.
        let out = unsafe { raw::out(event, &places)? };
        // Skips answers to requests that C cannot make.
        for _ in 0..MAX_WAITING {
            let Some(incoming) = client.poll(inbox) else {
                break;
            };
            if let Some(event) = event::of(&incoming) {
                out.write(event);
                return Ok(());
            }
        }
        out.write(sel4_llm_event_t::NONE);
        Err(match client.link() {
            Link::OtherVersion { .. } => Error::SEL4_LLM_OTHER_VERSION,
            Link::Open | Link::Waiting => Error::SEL4_LLM_NOTHING,
        })
    };
    told(poll())
}

/// Whether audit must be signalled (`microkit_notify`), because something was sent or read since the last call. One
/// signal is enough for everything before it. False for an invalid client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_wants_signal(client: *mut sel4_llm_client_t) -> bool {
    // SAFETY: the caller's promise.
    unsafe { raw::open(client) }.is_ok_and(|open| open.client.take_owed_signal())
}

/// How many requests can be sent now. 0 for an invalid client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_room(client: *const sel4_llm_client_t) -> u32 {
    // SAFETY: the caller's promise.
    let open = unsafe { raw::open(client) };
    open.map_or(0, |open| {
        u32::try_from(open.client.room()).unwrap_or(u32::MAX)
    })
}

/// Describes an error, for people. Accepts any number; the text is static and terminated by a zero.
#[unsafe(no_mangle)]
pub extern "C" fn sel4_llm_error_text(error: i32) -> *const c_char {
    Error::of(error)
        .map_or(c"not an error of this library", Error::text)
        .as_ptr()
}

/// The name of a code of `sel4_llm_failure_t`, such as `QuotaExceeded`. Accepts any number; the text is static and
/// terminated by a zero.
#[unsafe(no_mangle)]
pub extern "C" fn sel4_llm_code_name(code: u32) -> *const c_char {
    let code = u16::try_from(code).ok().and_then(ErrorCode::from_u16);
    code.map_or(c"Unknown", name).as_ptr()
}

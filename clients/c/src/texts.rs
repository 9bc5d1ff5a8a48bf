//! The functions of the header that ask for text.

// The header says once, at its head, what all functions require of their caller (`cbindgen.toml`).
#![allow(clippy::missing_safety_doc)]

use crate::Result;
use crate::api::{submit, submitted, told};
use crate::error::{Error, sel4_llm_error_t};
use crate::limits::*;
use crate::raw::{self, Open, Places, Refusals};
use crate::types::*;
use client::{Infer, InferParams, Request, Sampling, Segment};
use core::ffi::c_char;
use core::ptr::null;
use sel4_llm_client as client;

/// Errors of a prompt.
const PROMPT: Refusals = Refusals {
    empty: Error::SEL4_LLM_PROMPT_EMPTY,
    too_long: Error::SEL4_LLM_PROMPT_TOO_LONG,
};

/// Default parameters of a request: 128 tokens, a temperature of 0.8, always the same seed; no session, no adapter, any
/// answer.
/// For decisions, set `choices` or `format`, `temperature` to 0, and `max_tokens` to the length of the longest answer.
#[unsafe(no_mangle)]
pub extern "C" fn sel4_llm_default_params() -> sel4_llm_params_t {
    let InferParams {
        sampling,
        max_tokens,
        ..
    } = InferParams::default();
    sel4_llm_params_t {
        session: null(),
        adapter: null(),
        format: null(),
        choices: null(),
        choice_count: 0,
        stops: null(),
        stop_count: 0,
        seed: sampling.seed,
        max_tokens,
        temperature: sampling.temperature,
        top_k: sampling.top_k,
        top_p: sampling.top_p,
        min_p: sampling.min_p,
        repeat_penalty: sampling.repeat_penalty,
        repeat_last_n: sampling.repeat_last_n,
    }
}

/// Has the model complete a text: it continues where the text ends, without a chat template. Answer:
/// `SEL4_LLM_EVENT_TEXT` any number of times, then `SEL4_LLM_EVENT_FINISHED`, `SEL4_LLM_EVENT_FAILED` or
/// `SEL4_LLM_EVENT_LOST`.
///
/// `params`: the parameters; null: those of `sel4_llm_default_params`.
/// `prompt`, `prompt_size`: the text, as UTF-8, and its bytes without a terminating zero, from 1 to
/// `SEL4_LLM_MAX_PROMPT_BYTES`. It may be the text of the last event.
/// `id`: receives the number of the request, never 0. Events name it.
///
/// None of the arguments is needed after it has returned.
///
/// `SEL4_LLM_NOT_CONNECTED`, `SEL4_LLM_FULL`, `SEL4_LLM_TOO_MANY_IN_FLIGHT`: try again when each says.
/// `SEL4_LLM_OTHER_VERSION`, `SEL4_LLM_BROKEN_RING`, `SEL4_LLM_PROMPT_...`, `SEL4_LLM_BAD_...`,
/// `SEL4_LLM_TOO_MANY_...`, `SEL4_LLM_CHOICES_TOO_LONG`, `SEL4_LLM_FORMAT_NOT_ALONE`, `SEL4_LLM_NULL_POINTER`,
/// `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`, `SEL4_LLM_NOT_INITIALISED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_infer(
    client: *mut sel4_llm_client_t,
    params: *const sel4_llm_params_t,
    prompt: *const c_char,
    prompt_size: usize,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    let infer = |places: &Places| unsafe { prompt_of(prompt, prompt_size, places) }.map(Infer::new);
    // SAFETY: as above.
    unsafe { ask(client, params, id, infer) }
}

/// Says something to the model, which answers, if it has a chat template; otherwise as `sel4_llm_infer`. Audit decides
/// which, knowing the model that the request runs on. Parameters, answer and errors: as for `sel4_llm_infer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_prompt(
    client: *mut sel4_llm_client_t,
    params: *const sel4_llm_params_t,
    prompt: *const c_char,
    prompt_size: usize,
    id: *mut u32,
) -> sel4_llm_error_t {
    let infer =
        // SAFETY: the caller's promise.
        |places: &Places| unsafe { prompt_of(prompt, prompt_size, places) }.map(Infer::prompt);
    // SAFETY: as above.
    unsafe { ask(client, params, id, infer) }
}

/// Continues a conversation. A model without a chat template refuses it (the code `NoTemplate`).
///
/// `segments`, `segment_count`: the texts, 1 to `SEL4_LLM_MAX_SEGMENTS`. User and assistant alternate, after an
/// optional system text, and the user is last. If a session continues, give only what is new, and no system text.
/// Other parameters, answer and errors: as for `sel4_llm_infer`, and `SEL4_LLM_BAD_ROLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_converse(
    client: *mut sel4_llm_client_t,
    params: *const sel4_llm_params_t,
    segments: *const sel4_llm_segment_t,
    segment_count: usize,
    id: *mut u32,
) -> sel4_llm_error_t {
    let mut room = [Segment::user(""); SEL4_LLM_MAX_SEGMENTS];
    let list = (segments, segment_count);
    // SAFETY: the caller's promise.
    let infer = once(|places| unsafe { conversation_of(list, &mut room, places) });
    // SAFETY: as above.
    unsafe { ask(client, params, id, infer) }
}

/// Lists the formats of the policy. Answer: `SEL4_LLM_EVENT_FORMAT` for each, then `SEL4_LLM_EVENT_LISTED`,
/// `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_formats(
    client: *mut sel4_llm_client_t,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit(client, &Request::Formats, id) }
}

/// Sends a request for text.
///
/// # Safety
/// As for the functions of the header.
unsafe fn ask<'a>(
    client: *mut sel4_llm_client_t,
    params: *const sel4_llm_params_t,
    id: *mut u32,
    infer: impl FnOnce(&Places) -> Result<Infer<'a>>,
) -> sel4_llm_error_t {
    let ask = || {
        // SAFETY: the caller's promise.
        let Open { client, places, .. } = unsafe { raw::open(client)? };
        // SAFETY: as above.
        let id = unsafe { raw::out(id, &places)? };
        // SAFETY: as above.
        let params = unsafe { raw::value(params, &places)? };
        let params = params.unwrap_or_else(|| sel4_llm_default_params());
        // SAFETY: as above.
        let session = unsafe { raw::name(params.session, &places, Error::SEL4_LLM_BAD_SESSION)? };
        // SAFETY: as above.
        let adapter = unsafe { raw::name(params.adapter, &places, Error::SEL4_LLM_BAD_ADAPTER)? };
        // SAFETY: as above.
        let format = unsafe { raw::name(params.format, &places, Error::SEL4_LLM_BAD_FORMAT)? };
        let (mut stops, mut choices) = ([""; SEL4_LLM_MAX_STOPS], [""; SEL4_LLM_MAX_CHOICES]);
        let list = (params.stops, params.stop_count);
        // SAFETY: as above.
        let stops = unsafe { texts(list, &mut stops, STOPS, &places)? };
        let list = (params.choices, params.choice_count);
        // SAFETY: as above.
        let choices = unsafe { texts(list, &mut choices, CHOICES, &places)? };
        let sampling = of_params(&params);
        let infer = infer(&places)?
            .params(sampling)
            .session(session)
            .adapter(adapter)
            .format(format)
            .stops(stops)
            .choices(choices);
        sampling
            .check()
            .map_err(|failure| Error::from(failure.code))?;
        submitted(client.infer(&infer), id)
    };
    told(ask())
}

const fn of_params(params: &sel4_llm_params_t) -> InferParams {
    InferParams {
        sampling: Sampling {
            seed: params.seed,
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
            min_p: params.min_p,
            repeat_penalty: params.repeat_penalty,
            repeat_last_n: params.repeat_last_n,
        },
        max_tokens: params.max_tokens,
        reserved: 0,
    }
}

/// A caller's text of at least one byte.
///
/// # Safety
/// As for [`raw::text`].
unsafe fn prompt_of<'a>(text: *const c_char, size: usize, places: &Places) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let text = unsafe { raw::text(text, size, SEL4_LLM_MAX_PROMPT_BYTES, PROMPT, places)? };
    utf8(text)
}

/// Tells the compiler that a closure is called once, so that it may return what it has borrowed.
const fn once<'a, F: FnOnce(&Places) -> Result<Infer<'a>>>(closure: F) -> F {
    closure
}

/// A caller's conversation, in `room`.
///
/// # Safety
/// The list has this many segments, and each of their texts is as [`raw::text`] requires.
unsafe fn conversation_of<'a>(
    (segments, count): (*const sel4_llm_segment_t, usize),
    room: &'a mut [Segment<'a>],
    places: &Places,
) -> Result<Infer<'a>> {
    let room = room
        .get_mut(..count)
        .ok_or(Error::SEL4_LLM_TOO_MANY_SEGMENTS)?;
    for (at, place) in room.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let segment = unsafe { raw::element(segments, at, places)? };
        // SAFETY: as above.
        *place = unsafe { segment_of(&segment, places)? };
    }
    Ok(Infer::conversation(room))
}

/// A caller's segment.
///
/// # Safety
/// As for [`raw::text`], for the segment's text.
unsafe fn segment_of<'a>(segment: &sel4_llm_segment_t, places: &Places) -> Result<Segment<'a>> {
    let text = match segment.text_size {
        0 => "",
        // SAFETY: the caller's promise.
        size => unsafe { prompt_of(segment.text, size, places)? },
    };
    match segment.role {
        SEL4_LLM_ROLE_SYSTEM => Ok(Segment::system(text)),
        SEL4_LLM_ROLE_USER => Ok(Segment::user(text)),
        SEL4_LLM_ROLE_ASSISTANT => Ok(Segment::assistant(text)),
        _ => Err(Error::SEL4_LLM_BAD_ROLE),
    }
}

/// The limits of a list of texts, and the errors for breaking them.
#[derive(Clone, Copy)]
struct List {
    most_bytes: usize,
    too_many: Error,
    too_long: Error,
}

const STOPS: List = List {
    most_bytes: SEL4_LLM_MAX_STOP_BYTES,
    too_many: Error::SEL4_LLM_TOO_MANY_STOPS,
    too_long: Error::SEL4_LLM_BAD_STOP,
};

const CHOICES: List = List {
    most_bytes: SEL4_LLM_MAX_CHOICES_BYTES,
    too_many: Error::SEL4_LLM_TOO_MANY_CHOICES,
    too_long: Error::SEL4_LLM_CHOICES_TOO_LONG,
};

/// The texts of a caller's list, in `room`.
///
/// # Safety
/// The list has this many pointers, each to a string as [`raw::string`] requires.
unsafe fn texts<'r, 'a>(
    (list, count): (*const *const c_char, usize),
    room: &'r mut [&'a str],
    limits: List,
    places: &Places,
) -> Result<&'r [&'a str]> {
    let room = room.get_mut(..count).ok_or(limits.too_many)?;
    for (at, place) in room.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let text = unsafe { raw::element(list, at, places)? };
        // SAFETY: as above.
        let text = unsafe { raw::string(text, limits.most_bytes, limits.too_long, places)? };
        *place = utf8(text)?;
    }
    Ok(room)
}

fn utf8(text: &[u8]) -> Result<&str> {
    core::str::from_utf8(text).map_err(|_| Error::SEL4_LLM_PROMPT_NOT_UTF8)
}

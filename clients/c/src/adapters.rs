//! The functions of the header for fine-tuning and adapters.

// The header says once, at its head, what all functions require of their caller (`cbindgen.toml`).
#![allow(clippy::missing_safety_doc)]

use crate::Result;
use crate::adapter_types::{SEL4_LLM_MAX_EXAMPLE_BYTES, sel4_llm_tuning_t};
use crate::api::{submit, submitted, told};
use crate::error::{Error, sel4_llm_error_t};
use crate::raw::{self, Open, Places, Refusals};
use crate::types::sel4_llm_client_t;
use client::{Example, ModelName, Request, TrainParams};
use core::ffi::c_char;
use core::ptr::null;
use sel4_llm_client as client;

/// Errors of an example's text.
const EXAMPLE: Refusals = Refusals {
    empty: Error::SEL4_LLM_EXAMPLE_EMPTY,
    too_long: Error::SEL4_LLM_EXAMPLE_TOO_LONG,
};

/// Default parameters of a fine-tuning: rank 4, alpha 8, 3 epochs, a rate of 0.001, the matrices of attention, always
/// the same seed, and the name of the data for the adapter.
#[unsafe(no_mangle)]
pub extern "C" fn sel4_llm_default_tuning() -> sel4_llm_tuning_t {
    let TrainParams {
        seed,
        rank,
        alpha,
        epochs,
        rate,
        targets,
        ..
    } = TrainParams::default();
    sel4_llm_tuning_t {
        adapter: null(),
        seed,
        rank,
        alpha,
        epochs,
        rate,
        targets,
    }
}

/// Trains an adapter for the loaded model. Answer: `SEL4_LLM_EVENT_PROGRESS` while audit reads the data and
/// `SEL4_LLM_EVENT_TRAINING` any number of times, then `SEL4_LLM_EVENT_TUNED`, `SEL4_LLM_EVENT_FAILED` or
/// `SEL4_LLM_EVENT_LOST`. If it is cancelled, nothing of it is kept.
///
/// `tuning`: the parameters; null: those of `sel4_llm_default_tuning`.
/// `data`: the name of data in the store, terminated by a zero; null: the examples of `sel4_llm_example`.
/// `id`: as for `sel4_llm_infer`. Errors: as for `sel4_llm_infer`, and `SEL4_LLM_BAD_DATA`, `SEL4_LLM_BAD_ADAPTER`,
/// `SEL4_LLM_BAD_RANK`, `SEL4_LLM_BAD_ALPHA`, `SEL4_LLM_BAD_EPOCHS`, `SEL4_LLM_BAD_RATE`, `SEL4_LLM_BAD_TARGETS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_fine_tune(
    client: *mut sel4_llm_client_t,
    tuning: *const sel4_llm_tuning_t,
    data: *const c_char,
    id: *mut u32,
) -> sel4_llm_error_t {
    let fine_tune = || -> Result<()> {
        // SAFETY: the caller's promise.
        let Open { client, places, .. } = unsafe { raw::open(client)? };
        // SAFETY: as above.
        let id = unsafe { raw::out(id, &places)? };
        // SAFETY: as above.
        let tuning = unsafe { raw::value(tuning, &places)? };
        let tuning = tuning.unwrap_or_else(|| sel4_llm_default_tuning());
        // SAFETY: as above.
        let adapter = unsafe { raw::name(tuning.adapter, &places, Error::SEL4_LLM_BAD_ADAPTER)? };
        let data = match data.is_null() {
            true => ModelName::new(client::adapters::EXAMPLES).ok_or(Error::SEL4_LLM_INTERNAL)?,
            // SAFETY: as above.
            false => unsafe { a_name(data, &places, Error::SEL4_LLM_BAD_DATA)? },
        };
        let params = TrainParams {
            seed: tuning.seed,
            rank: tuning.rank,
            alpha: tuning.alpha,
            epochs: tuning.epochs,
            rate: tuning.rate,
            targets: tuning.targets,
            reserved: 0,
        };
        params
            .check()
            .map_err(|failure| Error::from(failure.code))?;
        let request = Request::FineTune {
            params,
            data,
            adapter,
        };
        submitted(client.submit(&request), id)
    };
    told(fine_tune())
}

/// Writes an example as the line of JSON that `sel4_llm_example` takes. It needs no client.
///
/// `prompt`, `prompt_size`: a prompt, or the whole text if there is no answer: UTF-8, and its bytes without a
/// terminating zero, from 1 to `SEL4_LLM_MAX_EXAMPLE_BYTES`.
/// `answer`, `answer_size`: the answer to the prompt, including its leading space; likewise. Null: none.
/// `line`, `line_size`: a buffer for the line, which gets no terminating zero. It must not overlap the other arguments.
/// `length`: receives the bytes of the line. A line is longer than its texts; `SEL4_LLM_MAX_EXAMPLE_BYTES` suffice.
///
/// `SEL4_LLM_EXAMPLE_EMPTY`, `SEL4_LLM_EXAMPLE_NOT_UTF8`, `SEL4_LLM_EXAMPLE_TOO_LONG` (also if the line does not fit),
/// `SEL4_LLM_NULL_POINTER`, `SEL4_LLM_MISALIGNED`, `SEL4_LLM_OVERLAP`: do not use anything in `line`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_example_line(
    prompt: *const c_char,
    prompt_size: usize,
    answer: *const c_char,
    answer_size: usize,
    line: *mut c_char,
    line_size: usize,
    length: *mut usize,
) -> sel4_llm_error_t {
    let write = || -> Result<()> {
        let (none, most) = (Places::over([&[]; 3])?, SEL4_LLM_MAX_EXAMPLE_BYTES);
        // SAFETY: the caller's promise.
        let prompt = unsafe { raw::text(prompt, prompt_size, most, EXAMPLE, &none)? };
        let answer = match answer.is_null() {
            true => None,
            // SAFETY: as above.
            false => Some(unsafe { raw::text(answer, answer_size, most, EXAMPLE, &none)? }),
        };
        let beside = answer.unwrap_or_default();
        // SAFETY: as above, and apart from the texts.
        let line = unsafe { raw::buffer(line, line_size, &Places::over([prompt, beside, &[]])?)? };
        // SAFETY: as above, and apart from the line.
        let length = unsafe { raw::out(length, &Places::over([prompt, beside, line])?)? };
        let utf8 = |text| core::str::from_utf8(text).map_err(|_| Error::SEL4_LLM_EXAMPLE_NOT_UTF8);
        let prompt = utf8(prompt)?;
        let example = match answer {
            None => Example::Text(prompt),
            Some(answer) => Example::Answer {
                prompt,
                answer: utf8(answer)?,
            },
        };
        let line = example
            .line(line)
            .map_err(|failure| Error::from(failure.code))?;
        length.write(line.len());
        Ok(())
    };
    told(write())
}

/// Adds an example for `sel4_llm_fine_tune` without data. Answer: `SEL4_LLM_EVENT_EXAMPLES`, `SEL4_LLM_EVENT_FAILED` or
/// `SEL4_LLM_EVENT_LOST`.
///
/// `line`, `line_size`: a line written by `sel4_llm_example_line`.
/// `id`: as for `sel4_llm_infer`. Errors: as for `sel4_llm_infer`, and `SEL4_LLM_EXAMPLE_EMPTY`,
/// `SEL4_LLM_EXAMPLE_TOO_LONG`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_example(
    client: *mut sel4_llm_client_t,
    line: *const c_char,
    line_size: usize,
    id: *mut u32,
) -> sel4_llm_error_t {
    let example = || -> Result<()> {
        // SAFETY: the caller's promise.
        let Open { client, places, .. } = unsafe { raw::open(client)? };
        // SAFETY: as above.
        let id = unsafe { raw::out(id, &places)? };
        let most = SEL4_LLM_MAX_EXAMPLE_BYTES;
        // SAFETY: as above.
        let text = unsafe { raw::text(line, line_size, most, EXAMPLE, &places)? };
        submitted(client.submit(&Request::Example { text }), id)
    };
    told(example())
}

/// Forgets the examples. Answer and errors: as for `sel4_llm_example`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_drop_examples(
    client: *mut sel4_llm_client_t,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit(client, &Request::DropExamples, id) }
}

/// Lists the adapters in the store and those made on this device. Answer: `SEL4_LLM_EVENT_ADAPTER` for each, then
/// `SEL4_LLM_EVENT_LISTED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Errors: as for `sel4_llm_infer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_adapters(
    client: *mut sel4_llm_client_t,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit(client, &Request::Adapters, id) }
}

/// Loads an adapter beside the model. Answer: `SEL4_LLM_EVENT_PROGRESS` any number of times, then
/// `SEL4_LLM_EVENT_ADAPTER_LOADED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`.
///
/// `name`: the adapter's name, terminated by a zero.
/// `id`: as for `sel4_llm_infer`. Errors: as for `sel4_llm_infer`, and `SEL4_LLM_BAD_ADAPTER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_load_adapter(
    client: *mut sel4_llm_client_t,
    name: *const c_char,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit_about(client, name, |name| Request::LoadAdapter { name }, id) }
}

/// Unloads an adapter, and forgets it if it was made on this device. Answer: `SEL4_LLM_EVENT_DONE`,
/// `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`. Otherwise as `sel4_llm_load_adapter`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_drop_adapter(
    client: *mut sel4_llm_client_t,
    name: *const c_char,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit_about(client, name, |name| Request::DropAdapter { name }, id) }
}

/// Reads the file of an adapter that was made on this device. Answer: `SEL4_LLM_EVENT_ADAPTER_PART` for each part, in
/// order, then `SEL4_LLM_EVENT_EXPORTED`, `SEL4_LLM_EVENT_FAILED` or `SEL4_LLM_EVENT_LOST`, or `SEL4_LLM_EVENT_DONE`
/// after a cancel. Otherwise as `sel4_llm_load_adapter`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sel4_llm_export_adapter(
    client: *mut sel4_llm_client_t,
    name: *const c_char,
    id: *mut u32,
) -> sel4_llm_error_t {
    // SAFETY: the caller's promise.
    unsafe { submit_about(client, name, |name| Request::ExportAdapter { name }, id) }
}

/// Sends a request about an adapter.
///
/// # Safety
/// As for the functions of the header.
unsafe fn submit_about(
    client: *mut sel4_llm_client_t,
    name: *const c_char,
    request: impl FnOnce(ModelName) -> Request<'static>,
    id: *mut u32,
) -> sel4_llm_error_t {
    let submit = || -> Result<()> {
        // SAFETY: the caller's promise.
        let Open { client, places, .. } = unsafe { raw::open(client)? };
        // SAFETY: as above.
        let id = unsafe { raw::out(id, &places)? };
        // SAFETY: as above.
        let name = unsafe { a_name(name, &places, Error::SEL4_LLM_BAD_ADAPTER)? };
        submitted(client.submit(&request(name)), id)
    };
    told(submit())
}

/// A name that must not be empty.
///
/// # Safety
/// As for [`raw::name`].
unsafe fn a_name(pointer: *const c_char, places: &Places, bad: Error) -> Result<ModelName> {
    if pointer.is_null() {
        return Err(Error::SEL4_LLM_NULL_POINTER);
    }
    // SAFETY: the caller's promise.
    let name: ModelName = unsafe { raw::name(pointer, places, bad)? };
    match name.is_empty() {
        true => Err(bad),
        false => Ok(name),
    }
}

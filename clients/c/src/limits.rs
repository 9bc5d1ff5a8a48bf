//! Limits and other numbers of the header.

use crate::types::sel4_llm_client_t;
use client::limits;
use sel4_llm_client as client;

/// Version of the protocol that this library speaks with audit.
pub const SEL4_LLM_PROTOCOL_VERSION: usize = 9;
/// Size of each of the two regions that a client shares with audit, in bytes.
pub const SEL4_LLM_RING_BYTES: usize = 143360;
/// Size of a `sel4_llm_client_t` in bytes.
pub const SEL4_LLM_CLIENT_BYTES: usize = 28672;
/// Alignment of a `sel4_llm_client_t` and of the regions, in bytes.
pub const SEL4_LLM_CLIENT_ALIGN: usize = 8;
/// Longest text of a request in bytes. In a conversation all texts count, with 8 bytes for each after the first; so do
/// stop strings and choices.
pub const SEL4_LLM_MAX_PROMPT_BYTES: usize = 8192;
/// Most segments of a conversation in one request.
pub const SEL4_LLM_MAX_SEGMENTS: usize = 16;
/// Most stop strings of a request.
pub const SEL4_LLM_MAX_STOPS: usize = 4;
/// Longest stop string in bytes, without its terminating zero.
pub const SEL4_LLM_MAX_STOP_BYTES: usize = 64;
/// Most choices of a request.
pub const SEL4_LLM_MAX_CHOICES: usize = 32;
/// Most bytes of all choices of a request together, counting one between each two.
pub const SEL4_LLM_MAX_CHOICES_BYTES: usize = 512;
/// Most tokens that a request may generate. The user's role may allow fewer.
pub const SEL4_LLM_MAX_TOKENS: usize = 512;
/// Longest text of one event, in bytes.
pub const SEL4_LLM_MAX_TEXT_BYTES: usize = 4160;
/// Most requests in flight. The policy may allow fewer.
pub const SEL4_LLM_MAX_IN_FLIGHT: usize = 64;
/// Longest name of a session in bytes, without its terminating zero.
pub const SEL4_LLM_MAX_SESSION_BYTES: usize = 32;
/// Longest name of a user or a role in bytes, without its terminating zero.
pub const SEL4_LLM_MAX_USER_BYTES: usize = 32;
/// Longest name of a model, an adapter or data in bytes, without its terminating zero.
pub const SEL4_LLM_MAX_MODEL_BYTES: usize = 64;
/// Longest name of a format in bytes, without its terminating zero.
pub const SEL4_LLM_MAX_FORMAT_BYTES: usize = 32;
/// Longest name of a chat template in bytes, without its terminating zero.
pub const SEL4_LLM_MAX_TEMPLATE_BYTES: usize = 32;
/// For `role`: what the model is told before the conversation. At most one segment, the first, and only at the start of
/// a session.
pub const SEL4_LLM_ROLE_SYSTEM: u32 = 2;
/// For `role`: what a person says. The last segment has this role.
pub const SEL4_LLM_ROLE_USER: u32 = 3;
/// For `role`: what the model has said.
pub const SEL4_LLM_ROLE_ASSISTANT: u32 = 4;
/// Most events that `sel4_llm_poll` returns for one signal. A domain may stop polling after so many, because anything
/// that audit writes later comes with its own signal.
pub const SEL4_LLM_MAX_WAITING: usize = 81;
/// One, in millionths. Fractions are whole numbers of millionths, because a domain may have no floating point.
pub const SEL4_LLM_ONE: u32 = 1000000;

const _: () = {
    assert!(SEL4_LLM_PROTOCOL_VERSION == protocol::VERSION as usize);
    assert!(SEL4_LLM_RING_BYTES == client::REGION_BYTES);
    assert!(SEL4_LLM_MAX_PROMPT_BYTES == limits::MAX_PROMPT_BYTES);
    assert!(SEL4_LLM_MAX_TOKENS == limits::MAX_GENERATED_TOKENS as usize);
    assert!(SEL4_LLM_MAX_TEXT_BYTES == limits::MAX_TEXT_BYTES);
    assert!(SEL4_LLM_MAX_IN_FLIGHT == client::MAX_IN_FLIGHT);
    assert!(SEL4_LLM_MAX_SESSION_BYTES == limits::MAX_SESSION_BYTES);
    assert!(SEL4_LLM_MAX_USER_BYTES == limits::MAX_USER_BYTES);
    assert!(SEL4_LLM_MAX_MODEL_BYTES == limits::MAX_NAME_BYTES);
    assert!(SEL4_LLM_MAX_SEGMENTS == limits::MAX_SEGMENTS);
    assert!(SEL4_LLM_MAX_STOPS == limits::MAX_STOPS);
    assert!(SEL4_LLM_MAX_STOP_BYTES == limits::MAX_STOP_BYTES);
    assert!(SEL4_LLM_MAX_CHOICES == limits::MAX_CHOICES);
    assert!(SEL4_LLM_MAX_CHOICES_BYTES == limits::MAX_CHOICES_BYTES);
    assert!(SEL4_LLM_MAX_FORMAT_BYTES == limits::MAX_FORMAT_BYTES);
    assert!(SEL4_LLM_MAX_TEMPLATE_BYTES == limits::MAX_TEMPLATE_BYTES);
    assert!(SEL4_LLM_ROLE_SYSTEM == client::PartKind::System as u32);
    assert!(SEL4_LLM_ROLE_USER == client::PartKind::User as u32);
    assert!(SEL4_LLM_ROLE_ASSISTANT == client::PartKind::Assistant as u32);
    assert!(SEL4_LLM_MAX_WAITING == client::MAX_WAITING);
    assert!(SEL4_LLM_ONE == client::ONE);
    assert!(SEL4_LLM_CLIENT_BYTES == size_of::<sel4_llm_client_t>());
    assert!(SEL4_LLM_CLIENT_ALIGN == align_of::<sel4_llm_client_t>());
};

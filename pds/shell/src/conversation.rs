//! The state of a conversation, and the names of those without one.

use core::fmt::Write as _;
use protocol::limits::MAX_SESSIONS;
use protocol::name::SessionName;
use sel4_llm_client::RequestId;

/// The conversation at the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chat {
    pub(crate) session: SessionName,
    /// The user has named the session, so it stays after the conversation.
    pub(crate) is_named: bool,
    /// The next turn starts the session, and brings the system text.
    pub(crate) begins: bool,
    /// The last turn that was sent. After a second Ctrl-C, its end may come when nobody waits for it.
    pub(crate) last: Option<RequestId>,
}

/// The numbers of names in use, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken(u64);

// Some number is always free, because a user has at most this many sessions.
const _: () = assert!(MAX_SESSIONS < u64::BITS as usize);

impl Taken {
    pub(crate) fn add(&mut self, name: &SessionName) {
        let number = name.as_str().strip_prefix("chat-");
        let number = number.and_then(|number| number.parse::<u32>().ok());
        let bit = number.and_then(|number| 1u64.checked_shl(number.checked_sub(1)?));
        self.0 |= bit.unwrap_or(0);
    }

    /// `chat-N` with the lowest free number.
    pub(crate) fn free_name(self) -> SessionName {
        let number = self.0.trailing_ones().saturating_add(1);
        let mut name = heapless::String::<16>::new();
        // It fits: the number has at most two digits.
        let _ = write!(name, "chat-{number}");
        SessionName::new(&name).unwrap_or(SessionName::EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_gets_the_first_name_that_no_session_has() {
        let mut taken = Taken::default();
        assert_eq!(taken.free_name().as_str(), "chat-1");
        for name in [
            "chat-1",
            "chat-3",
            "chat-0",
            "chat-",
            "chat-x",
            "chat-65",
            "chat-4294967295",
            "tale",
        ] {
            taken.add(&SessionName::new(name).unwrap());
        }
        assert_eq!(taken.free_name().as_str(), "chat-2");
        for number in 1..=MAX_SESSIONS {
            taken.add(&SessionName::new(&std::format!("chat-{number}")).unwrap());
        }
        assert_eq!(taken.free_name().as_str(), "chat-33");
    }
}

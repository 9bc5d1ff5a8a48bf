//! Names that the shell has learnt, for completion and to know which users have a passphrase.

use protocol::limits::{MAX_FORMATS, MAX_SESSIONS, MAX_USERS};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::wire::client::User;

/// Models and adapters that are remembered. Others are not completed.
const MODELS: usize = 32;

/// Sessions that are remembered: for two users, as many as there can be at once.
const SESSIONS: usize = 2 * MAX_SESSIONS;

/// Store and policy do not change until the next boot, so each complete list is requested only once.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) models: heapless::Vec<ModelName, MODELS>,
    pub(crate) models_are_known: bool,
    pub(crate) adapters: heapless::Vec<ModelName, MODELS>,
    pub(crate) adapters_are_known: bool,
    pub(crate) formats: heapless::Vec<FormatName, MAX_FORMATS>,
    pub(crate) formats_are_known: bool,
    pub(crate) users: heapless::Vec<User, MAX_USERS>,
    pub(crate) users_are_known: bool,
    sessions: heapless::Deque<(UserName, SessionName), SESSIONS>,
}

impl Names {
    pub(crate) const fn new() -> Self {
        Self {
            models: heapless::Vec::new(),
            models_are_known: false,
            adapters: heapless::Vec::new(),
            adapters_are_known: false,
            formats: heapless::Vec::new(),
            formats_are_known: false,
            users: heapless::Vec::new(),
            users_are_known: false,
            sessions: heapless::Deque::new(),
        }
    }

    pub(crate) fn add_model(&mut self, name: ModelName) {
        if !self.models.contains(&name) {
            let _ = self.models.push(name);
        }
    }

    pub(crate) fn add_adapter(&mut self, name: ModelName) {
        if !self.adapters.contains(&name) {
            let _ = self.adapters.push(name);
        }
    }

    /// The adapters have changed: they come and go while the system runs.
    pub(crate) fn forget_adapters(&mut self) {
        self.adapters.clear();
        self.adapters_are_known = false;
    }

    pub(crate) fn add_format(&mut self, name: FormatName) {
        if !self.formats.contains(&name) {
            let _ = self.formats.push(name);
        }
    }

    pub(crate) fn add_user(&mut self, user: User) {
        if self.users.iter().all(|known| known.name != user.name) {
            let _ = self.users.push(user);
        }
    }

    pub(crate) fn add_session(&mut self, user: UserName, session: SessionName) {
        if session.is_empty() || self.sessions.iter().any(|known| *known == (user, session)) {
            return;
        }
        if self.sessions.is_full() {
            self.sessions.pop_front();
        }
        let _ = self.sessions.push_back((user, session));
    }

    pub(crate) fn remove_session(&mut self, user: UserName, session: SessionName) {
        self.sessions.retain(|known| *known != (user, session));
    }

    pub(crate) fn sessions(&self, of: UserName) -> impl Iterator<Item = &SessionName> {
        let mine = self.sessions.iter().filter(move |(user, _)| *user == of);
        mine.map(|(_, session)| session)
    }
}

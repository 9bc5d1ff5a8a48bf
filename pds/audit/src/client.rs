//! The clients: the rings of each, its user, its limits, and what it has yet to be told.
//!
//! The rules: audit knows a client by its channel, never by what a message says. A client is told only what it has
//! asked for itself or what concerns all clients. Nothing here waits for a client: an event that finds no room in its
//! ring stays where it came from and is offered again.

use crate::lists::Lists;
use crate::log::Log;
use crate::notices::Notices;
use crate::repeats::Repeats;
use protocol::limits::MAX_CLIENTS;
use protocol::name::UserName;
use protocol::policy::Policy;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::client::{Event, User};

/// A client's end of its rings, as the runtime knows it from `system.xml`.
#[derive(Debug)]
pub struct ClientEnd<R, W> {
    /// Audit's number of the channel. The policy says which client is on it.
    pub channel: u8,
    /// Audit's end of the rings.
    pub ring: Endpoint<R, W>,
}

/// Which client this is, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its domain's name.
    pub(crate) name: UserName,
    /// Index of its current user.
    pub(crate) user: usize,
    /// Index of its own user, which it is at boot and after a logout.
    own: usize,
    /// Which of the policy's clients it is.
    pub(crate) entry: usize,
    pub(crate) may_log_in: bool,
    /// Limit of requests that are admitted and not over.
    pub(crate) requests: usize,
    /// Limit of sessions.
    pub(crate) sessions: usize,
    /// Limit of its messages that inference has not read.
    pub(crate) commands: usize,
}

impl Identity {
    /// The identity that the policy gives the client on this channel; `None` if it names none.
    fn on(channel: u8, policy: &Policy) -> Option<Self> {
        let found = (0..policy.clients().len())
            .zip(policy.clients())
            .find(|(_, client)| client.channel == u32::from(channel));
        found.map(|(entry, client)| Self {
            entry,
            name: client.name,
            user: client.user as usize,
            own: client.user as usize,
            may_log_in: client.login == 1,
            requests: client.requests as usize,
            sessions: client.sessions as usize,
            commands: client.commands as usize,
        })
    }
}

/// One client.
pub(crate) struct Client<R, W> {
    pub(crate) channel: u8,
    ring: Endpoint<R, W>,
    /// `None` if the policy does not name it; then it may do nothing.
    pub(crate) identity: Option<Identity>,
    pub(crate) lists: Lists,
    pub(crate) notices: Notices,
    pub(crate) violations: Repeats,
    /// Number of the last request for which it was told something that the egress cap counts.
    pub(crate) last_served: u32,
    /// The message being written for it. A frame shared between clients could leak bytes of one client's messages to
    /// another.
    frame: Frame,
    signal: bool,
}

impl<R: ReadWords, W: WriteWords> Client<R, W> {
    /// Index of its current user. An unknown client has an index that no user has.
    pub(crate) fn user(&self) -> usize {
        self.identity.map_or(0, |identity| identity.user)
    }

    /// Its domain's name.
    pub(crate) fn name(&self) -> UserName {
        self.identity
            .map_or(UserName::EMPTY, |identity| identity.name)
    }

    /// Makes it another user.
    pub(crate) const fn becomes(&mut self, user: usize) {
        if let Some(identity) = &mut self.identity {
            identity.user = user;
        }
    }

    /// Makes it its own user again.
    pub(crate) const fn logs_out(&mut self) {
        if let Some(identity) = &mut self.identity {
            identity.user = identity.own;
        }
    }

    /// Starts the single epoch of its rings.
    pub(crate) fn lead(&mut self) {
        self.ring.lead(1);
        // The client may already be waiting for this.
        self.signal = true;
    }

    /// Free slots in its ring.
    pub(crate) fn room(&self) -> usize {
        self.ring.free()
    }

    /// Sends an event; false if there is no room.
    pub(crate) fn tell(&mut self, request: u32, event: &Event<'_>) -> bool {
        let Self {
            ring,
            frame,
            signal,
            ..
        } = self;
        send(ring, frame, signal, request, event)
    }

    /// Ends the list of this request early, or any list if no request is named; false if there is no such list. A
    /// request is read only if there is room for its answer and the ends of all lists.
    pub(crate) fn end_list(&mut self, request: Option<u32>, log: &Log<'_>) -> bool {
        let ended = self.lists.end(request, log);
        if let Some((request, event)) = &ended {
            self.tell(*request, event);
        }
        ended.is_some()
    }

    /// Tells the client of faults and of the loss of the log; see [`Notices::deliver_causes`].
    pub(crate) fn tell_causes(&mut self, is_bound: bool) {
        if !self.notices.is_empty() {
            let (notices, tell) = self.notices_and_voice();
            notices.deliver_causes(is_bound, tell);
        }
    }

    /// Tells the client the pending notices. `user`: its user; `is_bound`: whether it must use a format.
    pub(crate) fn tell_notices(&mut self, user: User, is_bound: bool) {
        if !self.notices.is_empty() {
            let (notices, tell) = self.notices_and_voice();
            notices.deliver(user, is_bound, tell);
        }
    }

    fn notices_and_voice(&mut self) -> (&mut Notices, impl FnMut(&Event<'_>) -> bool) {
        let Self {
            notices,
            ring,
            frame,
            signal,
            ..
        } = self;
        (notices, |event: &Event<'_>| {
            send(ring, frame, signal, 0, event)
        })
    }

    /// Receives a message; see [`Endpoint::receive`].
    pub(crate) fn receive(&mut self, frame: &mut Frame) -> Result<bool, protocol::ring::Violation> {
        self.ring.receive(frame)
    }

    /// Whether to signal the client now; clears the request to do so.
    pub(crate) fn takes_signal(&mut self) -> bool {
        let owed = self.ring.take_owed_signal();
        core::mem::take(&mut self.signal) | owed
    }
}

fn send<R: ReadWords, W: WriteWords>(
    ring: &mut Endpoint<R, W>,
    frame: &mut Frame,
    signal: &mut bool,
    request: u32,
    event: &Event<'_>,
) -> bool {
    event.write(request, frame);
    let sent = ring.send(frame).is_ok();
    *signal |= sent;
    sent
}

/// All clients. They take turns at being served first.
pub(crate) struct Clients<R, W> {
    clients: heapless::Vec<Client<R, W>, MAX_CLIENTS>,
    /// The client whose request is read first.
    first: usize,
    /// The client that is first to receive inference's output.
    first_of_egress: usize,
}

impl<R: ReadWords, W: WriteWords> Clients<R, W> {
    /// The clients of `system.xml`, with what the policy says of each.
    pub(crate) fn new(ends: heapless::Vec<ClientEnd<R, W>, MAX_CLIENTS>, policy: &Policy) -> Self {
        let mut clients = heapless::Vec::new();
        for ClientEnd { channel, ring } in ends {
            // Two clients on one channel could not be told apart, so the second gets no identity.
            let is_second = clients
                .iter()
                .any(|other: &Client<R, W>| other.channel == channel);
            let identity = Identity::on(channel, policy).filter(|_| !is_second);
            // `ends` has the same capacity, so this cannot fail.
            let _ = clients.push(Client {
                channel,
                ring,
                identity,
                lists: Lists::new(),
                notices: Notices::default(),
                violations: Repeats::NONE,
                last_served: 0,
                frame: Frame::new(),
                signal: false,
            });
        }
        Self {
            clients,
            first: 0,
            first_of_egress: 0,
        }
    }

    pub(crate) fn get(&self, client: usize) -> Option<&Client<R, W>> {
        self.clients.get(client)
    }

    pub(crate) fn get_mut(&mut self, client: usize) -> Option<&mut Client<R, W>> {
        self.clients.get_mut(client)
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Client<R, W>> {
        self.clients.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> core::slice::IterMut<'_, Client<R, W>> {
        self.clients.iter_mut()
    }

    /// Indices of all clients, beginning with the one whose turn it is to be read.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = usize> + Clone + use<R, W> {
        round(self.first, self.clients.len())
    }

    /// Indices of all clients, beginning with the one that the egress cap has kept waiting.
    pub(crate) fn in_turn_of_egress(&self) -> impl Iterator<Item = usize> + use<R, W> {
        round(self.first_of_egress, self.clients.len())
    }

    /// Notes that the egress cap keeps this client waiting.
    pub(crate) const fn is_next_of_egress(&mut self, client: usize) {
        self.first_of_egress = client;
    }

    /// Passes the turn to be served first to the next client.
    pub(crate) fn turn(&mut self) {
        let next = self.first.saturating_add(1);
        self.first = if next < self.clients.len() { next } else { 0 };
    }

    /// Sends an event to a client; false if there is no room, or no such client.
    pub(crate) fn tell(&mut self, client: usize, request: u32, event: &Event<'_>) -> bool {
        self.get_mut(client)
            .is_some_and(|client| client.tell(request, event))
    }

    /// Whether this is another client's own user. Such a user has no passphrase, so otherwise anybody could log in as
    /// it and use up its budget.
    pub(crate) fn is_of_another(&self, client: usize, user: usize) -> bool {
        let owns = |client: &Client<R, W>| client.identity.is_some_and(|it| it.own == user);
        !self.get(client).is_some_and(owns) && self.clients.iter().any(owns)
    }

    /// Index of a client's current user.
    pub(crate) fn user(&self, client: usize) -> usize {
        self.get(client).map_or(0, Client::user)
    }

    /// Adds a notice for every client.
    pub(crate) fn notify_all(&mut self, notice: impl Fn(&mut Notices)) {
        for client in &mut self.clients {
            notice(&mut client.notices);
        }
    }
}

fn round(first: usize, count: usize) -> impl Iterator<Item = usize> + Clone {
    (first..count).chain(0..first.min(count))
}

/// Slots of a client's ring that lists leave free, so text and ends of requests get through even while a long log is
/// sent.
pub(crate) const LISTS_LEAVE: usize = SLOTS / 4;

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::testing::{TestRegion, endpoints, policy};
    use protocol::wire::client::User;
    use std::vec::Vec;

    fn clients(channels: &[u8], policy: &Policy) -> Clients<TestRegion, TestRegion> {
        let ends = channels.iter().map(|&channel| {
            let (ring, _, _) = endpoints();
            ClientEnd { channel, ring }
        });
        Clients::new(ends.collect(), policy)
    }

    #[test]
    fn who_a_client_is_says_its_channel_and_a_second_on_it_is_nobody() {
        let policy = policy();
        let clients = clients(&[7, 0, 0], &policy);
        let known: Vec<_> = clients.iter().map(|it| it.identity.is_some()).collect();
        assert_eq!(known, [false, true, false]);
        let shell = clients.get(1).unwrap();
        assert_eq!((shell.name().as_str(), shell.user()), ("shell", 0));
        assert_eq!(clients.get(0).unwrap().name(), UserName::EMPTY);
        assert!(clients.get(3).is_none());
    }

    #[test]
    fn a_login_and_a_logout_change_one_client_alone() {
        let mut policy = policy();
        policy.clients[1] = protocol::policy::Client {
            name: UserName::new("other").unwrap(),
            channel: 1,
            user: 1,
            ..policy.clients[0]
        };
        policy.client_count = 2;
        let mut clients = clients(&[0, 1], &policy);
        clients.get_mut(0).unwrap().becomes(5);
        assert_eq!((clients.user(0), clients.user(1)), (5, 1));
        clients.get_mut(0).unwrap().logs_out();
        assert_eq!((clients.user(0), clients.user(1)), (0, 1));
        // Each has its own user, and neither may become the other's.
        assert!(clients.is_of_another(0, 1) && !clients.is_of_another(0, 0));
        assert!(!clients.is_of_another(1, 1) && !clients.is_of_another(1, 9));
    }

    #[test]
    fn every_client_is_the_first_in_turn() {
        let mut clients = clients(&[0, 1, 2], &policy());
        let mut firsts = Vec::new();
        for _ in 0..4 {
            let turns: Vec<_> = clients.in_turn().collect();
            let mut all = turns.clone();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
            firsts.push(turns[0]);
            clients.turn();
        }
        assert_eq!(firsts, [0, 1, 2, 0]);
        clients.is_next_of_egress(2);
        assert_eq!(clients.in_turn_of_egress().collect::<Vec<_>>(), [2, 0, 1]);
    }

    #[test]
    fn what_finds_no_room_is_not_sent_and_signals_nobody() {
        let mut clients = clients(&[0], &policy());
        let client = clients.get_mut(0).unwrap();
        assert!(!client.takes_signal());
        client.lead();
        assert!(client.takes_signal());
        for _ in 0..SLOTS {
            assert!(client.tell(1, &Event::User(User::default())));
        }
        assert!(client.takes_signal());
        assert!(!client.tell(1, &Event::Done) && client.room() == 0);
        assert!(!client.takes_signal());
        assert!(!clients.tell(9, 1, &Event::Done));
    }
}

//! Answers that consist of several events: what is being listed for a client, and how far each list has got.

use crate::log::{Cursor, Log, Verification};
use crate::sessions::Owner;
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::policy::FormatRule;
use protocol::wire::client::{Event, LogExtent, LogQuery};

/// Limit of lists at once for a client. A shell has one command in the foreground, and completion.
const LISTS: usize = 4;

/// What is being listed, and how far the list has got.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListKind {
    /// Models in the store.
    Models { next: usize },
    /// Adapters: those made here, then those in the store.
    Adapters { next: usize },
    /// Formats of the policy that this rule covers.
    Formats { next: usize, rule: FormatRule },
    /// The file of an adapter made here.
    Export { id: u32, offset: usize },
    /// Users in the policy.
    Users { next: usize },
    /// Sessions of one owner, or of all.
    Sessions { next: usize, owner: Option<Owner> },
    /// Entries of the log.
    Log(Reading),
    /// A check of the log.
    Verify(Verification),
    /// Counters, sent once a second.
    Watch { due: bool },
}

impl ListKind {
    /// The last event, for a list that is ended early.
    fn last_event(&self, log: &Log<'_>) -> Event<'static> {
        match self {
            Self::Log(reading) => Event::LogEnd(reading.extent(log)),
            Self::Models { next }
            | Self::Adapters { next }
            | Self::Formats { next, .. }
            | Self::Users { next }
            | Self::Sessions { next, .. } => listed(*next),
            Self::Verify(_) | Self::Watch { .. } | Self::Export { .. } => Event::Done,
        }
    }
}

/// The last event of a list with this many items.
pub(crate) fn listed(count: usize) -> Event<'static> {
    // A `u32` holds the number of models, adapters, formats, users or sessions.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Event::Listed { count }
}

/// A reading of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) cursor: Cursor,
    /// Sequence number of the first entry requested. Entries before it are skipped a few at a time.
    pub(crate) from: u64,
    pub(crate) user: UserName,
    pub(crate) follow: bool,
    /// Where it ends if it does not follow new entries.
    pub(crate) until: u64,
    /// The range sent so far: where it begins, and the hash of its last entry.
    pub(crate) sent: Option<LogExtent>,
}

impl Reading {
    /// A reading of the entries that `query` asks for.
    pub(crate) fn new(log: &Log<'_>, query: &LogQuery) -> Self {
        let extent = log.extent();
        let from = match query.last {
            0 => 0,
            last => extent.next.saturating_sub(last),
        };
        Self {
            cursor: log.cursor(),
            from,
            user: query.user,
            follow: query.follow,
            until: extent.next,
            sent: None,
        }
    }

    /// The range that was sent; if it is empty, where it would have begun.
    pub(crate) fn extent(&self, log: &Log<'_>) -> LogExtent {
        self.sent.unwrap_or_else(|| {
            let extent = log.extent();
            LogExtent {
                first: extent.next,
                anchor: extent.head,
                ..extent
            }
        })
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) request: u32,
    pub(crate) kind: ListKind,
}

/// The lists of a client.
#[derive(Debug)]
pub(crate) struct Lists {
    lists: heapless::Vec<List, LISTS>,
}

impl Lists {
    pub(crate) const fn new() -> Self {
        Self {
            lists: heapless::Vec::new(),
        }
    }

    pub(crate) fn contains(&self, request: u32) -> bool {
        self.lists.iter().any(|list| list.request == request)
    }

    /// Begins a list.
    ///
    /// # Errors
    /// The client has too many lists already.
    pub(crate) fn begin(&mut self, request: u32, kind: ListKind) -> Result<(), Failure> {
        let limit = LISTS as u64;
        self.lists
            .push(List { request, kind })
            .map_err(|_| Failure::over(ErrorCode::Busy, limit, limit))
    }

    pub(crate) fn get(&self, index: usize) -> Option<List> {
        self.lists.get(index).copied()
    }

    /// Stores a list's progress.
    pub(crate) fn put_back(&mut self, index: usize, kind: ListKind) {
        if let Some(list) = self.lists.get_mut(index) {
            list.kind = kind;
        }
    }

    /// Removes a list whose last event was sent.
    pub(crate) fn remove(&mut self, index: usize) {
        if index < self.lists.len() {
            self.lists.swap_remove(index);
        }
    }

    /// Called each second.
    pub(crate) fn tick(&mut self) {
        for list in &mut self.lists {
            if let ListKind::Watch { due } = &mut list.kind {
                *due = true;
            }
        }
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.lists.len()
    }

    /// Ends a list early, or any list if no request is named. Returns its request and its last event.
    pub(crate) fn end(
        &mut self,
        request: Option<u32>,
        log: &Log<'_>,
    ) -> Option<(u32, Event<'static>)> {
        let is = |list: &List| request.is_none_or(|request| list.request == request);
        let index = self.lists.iter().position(is)?;
        let list = self.lists.swap_remove(index);
        Some((list.request, list.kind.last_event(log)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::record::{Kind, Record};
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn there_are_so_many_lists_and_each_ends_once_with_its_own_last_event() {
        let mut memory = vec![0; 4096];
        let mut log = Log::new(&mut memory);
        log.append(Record::new(Kind::Boot), &[], 1);
        let mut lists = Lists::new();
        let reading = Reading::new(&log, &LogQuery::default());
        let kinds = [
            ListKind::Models { next: 3 },
            ListKind::Log(reading),
            ListKind::Verify(Verification::new(&log)),
            ListKind::Watch { due: false },
        ];
        for (request, kind) in (1..).zip(kinds) {
            assert_eq!(lists.begin(request, kind), Ok(()));
            assert!(lists.contains(request));
        }
        let full = Failure::over(ErrorCode::Busy, 4, 4);
        assert_eq!(lists.begin(5, ListKind::Users { next: 0 }), Err(full));
        lists.tick();
        let watched = lists.get(3).unwrap().kind;
        assert!(matches!(watched, ListKind::Watch { due: true }));
        assert_eq!(lists.end(Some(9), &log), None);
        assert_eq!(lists.end(Some(1), &log), Some((1, listed(3))));
        let mut rest = Vec::new();
        while let Some((request, event)) = lists.end(None, &log) {
            rest.push((request, event));
        }
        rest.sort_by_key(|(request, _)| *request);
        let extent = reading.extent(&log);
        let expected = [
            (2, Event::LogEnd(extent)),
            (3, Event::Done),
            (4, Event::Done),
        ];
        assert_eq!(rest, expected);
        // Nothing of the log was sent, so the range begins behind its end.
        assert_eq!((extent.first, extent.next), (2, 2));
        assert_eq!(lists.len(), 0);
        lists.remove(7);
        assert!(lists.get(0).is_none());
    }
}

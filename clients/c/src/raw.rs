//! Every use of a caller's pointer.
//!
//! First, everything is checked that a pointer shows: null, alignment and overlap. The caller of every function of the
//! header promises the rest: that memory of that type and size is behind it, and that no other thread uses it
//! meanwhile. "The caller's promise" below means that.

use crate::Result;
use crate::adapter_types::SEL4_LLM_MAX_EXAMPLE_BYTES;
use crate::error::Error;
use crate::facts;
use crate::types::sel4_llm_client_t;
use client::region::{ReadOnlyRegion, ReadWriteRegion};
use client::{Inbox, Memory};
use core::ffi::c_char;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use protocol::name::Name;
use sel4_llm_client as client;

/// The client inside the header's client.
pub(crate) type Client = client::Client<'static, ReadOnlyRegion, ReadWriteRegion>;

/// Combined with its own address, it marks an initialised client. A copy is at another address, so it does not count.
const INITIALISED: u64 = 0x5e14_11c1_0c1e_47ed;

/// The contents of a `sel4_llm_client_t`.
#[repr(C)]
struct Storage {
    mark: u64,
    places: Places,
    /// It refers to `memory`, so there is never a reference to the whole storage.
    client: MaybeUninit<Client>,
    memory: MaybeUninit<Memory>,
    inbox: MaybeUninit<Inbox>,
}

const _: () = assert!(
    size_of::<Storage>() <= size_of::<sel4_llm_client_t>()
        && align_of::<Storage>() <= align_of::<sel4_llm_client_t>()
);

/// A range of addresses; the end is exclusive.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
}

impl Range {
    /// Fails if the range reaches past the end of the address space.
    fn new(start: usize, bytes: usize) -> Result<Self> {
        let end = start.checked_add(bytes).ok_or(Error::SEL4_LLM_OVERLAP)?;
        Ok(Self { start, end })
    }

    /// An empty range, which overlaps nothing.
    const NONE: Self = Self { start: 0, end: 0 };

    const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The range of a value.
    fn of<T>(pointer: NonNull<T>) -> Result<Self> {
        Self::new(pointer.addr().get(), size_of::<T>())
    }

    const fn is_inside(self, other: Self) -> bool {
        other.start <= self.start && self.end <= other.end
    }
}

/// The address ranges of the client and its regions.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    client: Range,
    inbox: Range,
    from_audit: Range,
    to_audit: Range,
}

impl Places {
    /// The ranges of a function's arguments, if it needs no client.
    pub(crate) fn over(given: [&[u8]; 3]) -> Result<Self> {
        let range = |bytes: &[u8]| match bytes {
            [] => Ok(Range::NONE),
            _ => Range::new(bytes.as_ptr().addr(), bytes.len()),
        };
        let [first, second, third] = given;
        Ok(Self {
            client: range(first)?,
            inbox: Range::NONE,
            from_audit: range(second)?,
            to_audit: range(third)?,
        })
    }

    /// Refuses a buffer that overlaps the client or a region.
    fn check(&self, buffer: Range) -> Result<()> {
        let taken = [self.client, self.from_audit, self.to_audit];
        match taken.iter().any(|taken| taken.overlaps(buffer)) {
            true => Err(Error::SEL4_LLM_OVERLAP),
            false => Ok(()),
        }
    }

    /// The same for a buffer that is only read: it may be the text of the last event.
    fn check_read(&self, buffer: Range) -> Result<()> {
        match buffer.is_inside(self.inbox) {
            true => Ok(()),
            false => self.check(buffer),
        }
    }
}

/// A caller's client, borrowed separately from its buffers.
pub(crate) struct Open<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) places: Places,
    inbox: *mut Inbox,
}

impl<'a> Open<'a> {
    /// The client, the inbox for its events, and the ranges that must not be written. Only for a function that
    /// overwrites the last event, because its text is the caller's until then.
    pub(crate) fn into_parts(self) -> (&'a mut Client, &'a mut Inbox, Places) {
        // SAFETY: by `open`, it exists and is apart from everything else, and this `Open` is the only one of its
        // client.
        let inbox = unsafe { &mut *self.inbox };
        (self.client, inbox, self.places)
    }
}

fn not_null<T>(pointer: *const T) -> Result<NonNull<T>> {
    let pointer = NonNull::new(pointer.cast_mut()).ok_or(Error::SEL4_LLM_NULL_POINTER)?;
    match pointer.is_aligned() {
        true => Ok(pointer),
        false => Err(Error::SEL4_LLM_MISALIGNED),
    }
}

fn mark(storage: NonNull<Storage>) -> u64 {
    INITIALISED ^ storage.addr().get() as u64
}

/// The client behind a caller's pointer.
///
/// # Safety
/// The pointer is null, misaligned, or to a `sel4_llm_client_t` that nobody else uses during `'a`.
pub(crate) unsafe fn open<'a>(pointer: *const sel4_llm_client_t) -> Result<Open<'a>> {
    let storage = not_null(pointer)?.cast::<Storage>();
    let place = storage.as_ptr();
    // SAFETY: not null and aligned (`not_null`), and of this size by the caller's promise.
    if unsafe { (*place).mark } != mark(storage) {
        return Err(Error::SEL4_LLM_NOT_INITIALISED);
    }
    // SAFETY: as above. The mark shows that `initialise` has written all of the storage.
    let places = unsafe { (*place).places };
    // SAFETY: as above. It is apart from the other two, and from `memory`, which it refers to.
    let client = unsafe { &mut (*place).client };
    // SAFETY: written, as above.
    let client = unsafe { client.assume_init_mut() };
    // SAFETY: as above; only an address is taken.
    let inbox = unsafe { &raw mut (*place).inbox };
    Ok(Open {
        client,
        places,
        inbox: inbox.cast(),
    })
}

/// Makes a client in a caller's memory, over two regions.
///
/// # Safety
/// As for [`open`]. Each region is null, or mapped for the life of the program with the given size, `from` readable and
/// `to` writable, and nobody else in this program uses them.
pub(crate) unsafe fn initialise(
    pointer: *mut sel4_llm_client_t,
    bytes: usize,
    from: (*const u64, usize),
    to: (*mut u64, usize),
) -> Result<()> {
    let storage = not_null(pointer)?.cast::<Storage>();
    if bytes != size_of::<sel4_llm_client_t>() {
        return Err(Error::SEL4_LLM_CLIENT_SIZE);
    }
    let (from_audit, to_audit) = (not_null(from.0)?, not_null(to.0)?);
    let ring_bytes = facts::read(&facts::sel4_llm_ring_bytes);
    if from.1 as u64 != ring_bytes || to.1 as u64 != ring_bytes {
        return Err(Error::SEL4_LLM_REGION_SIZE);
    }
    let place = storage.as_ptr();
    // SAFETY: only an address is taken, inside the caller's memory.
    let inbox = unsafe { &raw mut (*place).inbox };
    let places = Places {
        client: Range::new(place.addr(), bytes)?,
        inbox: Range::new(inbox.addr(), size_of::<Inbox>())?,
        from_audit: Range::new(from_audit.addr().get(), from.1)?,
        to_audit: Range::new(to_audit.addr().get(), to.1)?,
    };
    let Places {
        client,
        from_audit: theirs,
        to_audit: ours,
        ..
    } = places;
    if theirs.overlaps(ours) || client.overlaps(theirs) || client.overlaps(ours) {
        return Err(Error::SEL4_LLM_OVERLAP);
    }
    // SAFETY: not null, aligned, of this size, and apart from the regions; the rest is the caller's promise.
    if unsafe { (*place).mark } == mark(storage) {
        return Err(Error::SEL4_LLM_ALREADY_INITIALISED);
    }
    // SAFETY: aligned and of this size; the rest is the caller's promise.
    let theirs = unsafe { ReadOnlyRegion::new(from_audit, from.1) };
    // SAFETY: as above, and writable.
    let ours = unsafe { ReadWriteRegion::new(to_audit, to.1) };
    // SAFETY: in the caller's memory. Nobody has a reference to it, because it was not initialised.
    let memory = unsafe { (*place).memory.write(Memory::new()) };
    let client = Client::over(theirs, ours, memory).map_err(|_| Error::SEL4_LLM_REGION_SIZE)?;
    // SAFETY: as for `memory`, and apart from it.
    unsafe { (*place).client.write(client) };
    // SAFETY: as above.
    unsafe { (*place).inbox.write(Inbox::new()) };
    // SAFETY: as above.
    unsafe { (*place).places = places };
    // The value needs no comparison: it is this library's own version.
    let _ = facts::read(&facts::sel4_llm_protocol_version);
    // SAFETY: as above. It is written last, when everything else is.
    unsafe { (*place).mark = mark(storage) };
    Ok(())
}

/// Where a caller wants a value: it is writable, and overlaps nothing of the library.
pub(crate) struct Out<'a, T> {
    pointer: NonNull<T>,
    caller: PhantomData<&'a mut T>,
}

impl<T> Out<'_, T> {
    pub(crate) fn write(self, value: T) {
        // SAFETY: not null, aligned and apart from the library's memory (`out`); the rest is the promise of `out`'s
        // caller.
        unsafe { self.pointer.write(value) }
    }
}

/// A caller's memory for a value.
///
/// # Safety
/// The pointer is null, misaligned, over memory of the library, or to a `T` that can be written during `'a`.
pub(crate) unsafe fn out<'a, T>(pointer: *mut T, places: &Places) -> Result<Out<'a, T>> {
    let pointer = not_null(pointer)?;
    places.check(Range::of(pointer)?)?;
    Ok(Out {
        pointer,
        caller: PhantomData,
    })
}

/// A copy of a caller's value; `None` for null.
///
/// # Safety
/// The pointer is null, misaligned, over memory of the library, or to a `T` that can be read.
pub(crate) unsafe fn value<T: Copy>(pointer: *const T, places: &Places) -> Result<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    let pointer = not_null(pointer)?;
    places.check(Range::of(pointer)?)?;
    // SAFETY: not null, aligned and apart from the library's memory; the rest is the caller's promise.
    Ok(Some(unsafe { pointer.read() }))
}

/// A copy of an element of a caller's array.
///
/// # Safety
/// The pointer is null, misaligned, over memory of the library, or to more than `at` values that can be read.
pub(crate) unsafe fn element<T: Copy>(pointer: *const T, at: usize, places: &Places) -> Result<T> {
    let pointer = not_null(pointer)?;
    let element = not_null(pointer.as_ptr().wrapping_add(at))?;
    places.check(Range::of(element)?)?;
    // SAFETY: not null, aligned and apart from the library's memory; the rest is the caller's promise.
    Ok(unsafe { element.read() })
}

/// A caller's string of at most `most` bytes, not counting its terminating zero.
///
/// # Safety
/// The pointer is null, over memory of the library, or to a string terminated by a zero, which nobody changes during
/// `'a`. Only the first `most` + 1 bytes must exist.
pub(crate) unsafe fn string<'a>(
    pointer: *const c_char,
    most: usize,
    too_long: Error,
    places: &Places,
) -> Result<&'a [u8]> {
    let pointer = not_null(pointer)?;
    for length in 0..=most {
        let next = pointer.as_ptr().wrapping_add(length);
        places.check(Range::new(next.addr(), 1)?)?;
        // SAFETY: no byte before it was a zero, so by the caller's promise it exists; it is apart from the library's
        // memory.
        if unsafe { next.read() } == 0 {
            // SAFETY: these bytes have just been read; the rest is the caller's promise.
            return Ok(unsafe { core::slice::from_raw_parts(pointer.as_ptr().cast(), length) });
        }
    }
    Err(too_long)
}

/// The errors for an empty text, and for one that is too long.
#[derive(Clone, Copy)]
pub(crate) struct Refusals {
    pub(crate) empty: Error,
    pub(crate) too_long: Error,
}

/// A caller's text of 1 to `most` bytes.
///
/// # Safety
/// The pointer is null, over memory of the library, or to this many bytes, which nobody changes during `'a`. Only the
/// first `most` bytes must exist.
pub(crate) unsafe fn text<'a>(
    pointer: *const c_char,
    bytes: usize,
    most: usize,
    refusals: Refusals,
    places: &Places,
) -> Result<&'a [u8]> {
    let pointer = not_null(pointer)?;
    if bytes == 0 {
        return Err(refusals.empty);
    }
    if bytes > most {
        return Err(refusals.too_long);
    }
    places.check_read(Range::new(pointer.addr().get(), bytes)?)?;
    // SAFETY: not null, and apart from everything that is written or shared; the rest is the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(pointer.as_ptr().cast(), bytes) })
}

/// A caller's buffer for a line of JSON, zeroed. If it is longer than the longest line, only as much as that needs.
///
/// # Safety
/// The pointer is null, over one of the places, or to this many bytes that can be written during `'a` and that nobody
/// else uses.
pub(crate) unsafe fn buffer<'a>(
    pointer: *mut c_char,
    bytes: usize,
    places: &Places,
) -> Result<&'a mut [u8]> {
    let pointer = not_null(pointer)?.cast::<u8>();
    let bytes = bytes.min(SEL4_LLM_MAX_EXAMPLE_BYTES);
    places.check(Range::new(pointer.addr().get(), bytes)?)?;
    // SAFETY: not null, and apart from the places; the rest is the caller's promise.
    unsafe { pointer.write_bytes(0, bytes) };
    // SAFETY: as above, and all of it has just been written.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer.as_ptr(), bytes) })
}

/// A name of at most `N` bytes, terminated by a zero; empty for null. `bad` is the error for an invalid one.
///
/// # Safety
/// The pointer is null, over memory of the library, or to a string terminated by a zero. Only the first `N` + 1 bytes
/// must exist.
pub(crate) unsafe fn name<const N: usize>(
    pointer: *const c_char,
    places: &Places,
    bad: Error,
) -> Result<Name<N>> {
    if pointer.is_null() {
        return Ok(Name::EMPTY);
    }
    let mut bytes = [0_u8; N];
    for length in 0..=N {
        let next = pointer.wrapping_add(length);
        places.check(Range::new(next.addr(), 1)?)?;
        // SAFETY: no byte before it was a zero, so by the caller's promise it exists; it is apart from the library's
        // memory.
        let byte = unsafe { next.cast::<u8>().read() };
        match bytes.get_mut(length) {
            Some(place) if byte != 0 => *place = byte,
            None if byte != 0 => break,
            _ => {
                let text = bytes.get(..length).unwrap_or_default();
                let text = core::str::from_utf8(text).ok();
                return text.and_then(Name::new).ok_or(bad);
            }
        }
    }
    Err(bad)
}

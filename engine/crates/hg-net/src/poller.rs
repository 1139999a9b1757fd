//! Edge-triggered epoll: each socket is registered once for all events, and its registration never
//! changes.

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::Timespec;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The name of a registration in events: 8 bits of kind, 24 of generation, 32 of index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    /// Makes a token; cuts the generation to 24 bits.
    pub fn new(kind: u8, generation: u32, index: usize) -> Self {
        Self(
            (u64::from(kind) << 56)
                | (u64::from(generation & 0xff_ffff) << 32)
                | (index as u64 & 0xffff_ffff),
        )
    }

    /// Returns the kind.
    pub fn kind(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Returns the generation, 24 bits.
    pub fn generation(self) -> u32 {
        ((self.0 >> 32) & 0xff_ffff) as u32
    }

    /// Returns the index.
    pub fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// Returns the token as one number.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// Restores a token from [`Token::raw`].
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

/// An event of a registered descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The descriptor's token.
    pub token: Token,
    /// True if there is something to read (an end of stream counts).
    pub readable: bool,
    /// True if there is room to write.
    pub writable: bool,
    /// True if the peer has ended its half.
    pub read_closed: bool,
    /// True if the connection is over in both directions, or failed.
    pub closed: bool,
}

/// Wakes a poller from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes the poller's next (or current) wait return at once.
    pub fn wake(&self) {
        // A full counter means that it is awake already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

/// An epoll instance and its wake-up descriptor.
pub struct Poller {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
}

const WAKE: u64 = u64::MAX;

impl Poller {
    /// Events taken from the kernel in one call.
    const BATCH: usize = 256;

    /// Makes a poller.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &epoll,
            &wake,
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )?;
        Ok(Self { epoll, wake: Arc::new(wake) })
    }

    /// Returns a handle that wakes this poller.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// Registers a stream socket for all events, edge-triggered.
    ///
    /// # Errors
    /// Errors of `epoll_ctl`.
    pub fn add_stream(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token.0), flags)?)
    }

    /// Registers a listening socket, level-triggered, so that the next turn accepts what this one
    /// leaves.
    ///
    /// # Errors
    /// Errors of `epoll_ctl`.
    pub fn add_listener(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token.0);
        Ok(epoll::add(&self.epoll, fd, data, epoll::EventFlags::IN)?)
    }

    /// Removes a registration. Needed if a duplicate of the descriptor lives on elsewhere: closing
    /// ours would leave the registration alive (epoll(7), Q6).
    ///
    /// # Errors
    /// Errors of `epoll_ctl`.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits at most `timeout_ms` (`None` = for ever) and appends what happened to `events`.
    /// Reports whether a [`Waker`] woke it.
    ///
    /// # Errors
    /// Errors of `epoll_wait`, interruptions excepted.
    pub fn wait(&self, timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<bool> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
        });
        let mut buffer = [const { MaybeUninit::uninit() }; Self::BATCH];
        let (got, _) = match epoll::wait(&self.epoll, &mut buffer, timeout.as_ref()) {
            Ok(got) => got,
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        let mut woken = false;
        for e in got {
            let raw = e.data.u64();
            if raw == WAKE {
                woken = true;
                let _ = rustix::io::read(&*self.wake, &mut [0u8; 8]);
                continue;
            }
            let f = e.flags;
            events.push(Event {
                token: Token(raw),
                readable: f.contains(epoll::EventFlags::IN),
                writable: f.contains(epoll::EventFlags::OUT),
                read_closed: f.contains(epoll::EventFlags::RDHUP),
                closed: f.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
            });
        }
        Ok(woken)
    }
}

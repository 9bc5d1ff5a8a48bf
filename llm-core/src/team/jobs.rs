//! The operations that are cut into parts.
//!
//! A job names its spans first, all of them, whatever its share is (see [`super::memory`]); then it computes what falls
//! into its share, as [`crate::transformer`] describes it.

mod attention;
mod products;
mod vectors;

pub(crate) use attention::{Attend, LeftOut, MAX_PLACES, Place, Places, Store};
pub(crate) use products::{Multiply, Product, Products};
pub(crate) use vectors::{Activate, Cap, NormOf, Prepare, Rotate, Vectors};

use super::memory::Access;
use super::words::{Reader, Word, Writer};
use crate::quantize::NonFinite;
use crate::simd::Cpu;

/// Elements of a piece where any division would do: a cache line, so that no two workers write the same one.
const PIECE: usize = 16;

/// Defines [`Job`] and its words: a number for the kind, then the fields.
macro_rules! jobs {
    ($($(#[$doc:meta])* $number:literal $kind:ident,)*) => {
        /// What a team can do.
        #[derive(Clone, Debug)]
        pub(crate) enum Job {
            $($(#[$doc])* $kind($kind),)*
        }

        impl Word for Job {
            fn put(&self, to: &mut Writer<'_>) {
                match self {
                    $(Self::$kind(job) => {
                        to.0($number);
                        job.put(to);
                    })*
                }
            }

            fn get(from: &mut Reader<'_>) -> Option<Self> {
                Some(match u64::get(from)? {
                    $($number => Self::$kind($kind::get(from)?),)*
                    _ => return None,
                })
            }
        }

        impl Job {
            /// Runs one worker's part.
            #[inline]
            pub(super) fn run(&self, cpu: Cpu, access: Access<'_>) -> Result<(), NonFinite> {
                match self {
                    $(Self::$kind(job) => job.run(cpu, access),)*
                }
            }
        }
    };
}

jobs! {
    /// Copies, norms, factors and sums of vectors.
    1 Vectors,
    /// Converts activations to the form that matrices require.
    2 Prepare,
    /// Matrix products with the same activations.
    3 Multiply,
    /// Rotates queries and keys.
    4 Rotate,
    /// Stores keys and values in the cache.
    5 Store,
    /// Attention.
    6 Attend,
    /// The activation function of the feed-forward layer.
    7 Activate,
    /// Factor and cap of logits.
    8 Cap,
}

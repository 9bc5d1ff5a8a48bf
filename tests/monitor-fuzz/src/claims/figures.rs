//! Counts of what was done and compared.

macro_rules! figures {
    ($($name:ident,)*) => {
        /// Counts of what was done and compared.
        #[derive(Clone, Copy, Debug, Default)]
        #[allow(missing_docs)]
        pub struct Figures {
            $(pub $name: u64,)*
        }

        impl Figures {
            /// Adds the counts of another run.
            pub const fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// What has never happened. A fuzz that passes because part of the system never worked in it shows nothing.
            #[must_use]
            pub fn never(&self) -> Vec<&'static str> {
                let figures = [$((stringify!($name), self.$name)),*];
                let zeros = figures.into_iter().filter(|(_, count)| *count == 0);
                zeros.map(|(name, _)| name).collect()
            }
        }
    };
}

figures! {
    runs,
    clients,
    steps,
    wakes,
    requests,
    garbage,
    format_breaches,
    bound,
    stopped,
    admitted,
    refused,
    tokens,
    texts,
    joined,
    held_back,
    grants,
    loads,
    adapters,
    trainings,
    made,
    exported,
    faults,
    restarts,
    stops,
    timeouts,
    records,
    boots,
    flushes,
    lost_logs,
    disk_loads,
    comparisons,
}

//! What was done and compared.

macro_rules! figures {
    ($($name:ident,)*) => {
        /// What was done and compared.
        #[derive(Clone, Copy, Debug, Default)]
        #[allow(missing_docs)]
        pub struct Figures {
            $(pub $name: u64,)*
        }

        impl Figures {
            /// Adds another run's.
            pub const fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
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
    comparisons,
}

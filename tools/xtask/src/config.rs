//! Configurations of the SDK.

/// A configuration of the SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Config {
    Release,
    Debug,
    Benchmark,
    SmpRelease,
    SmpDebug,
    SmpBenchmark,
}

/// All configurations.
pub const CONFIGS: [Config; 6] = [
    Config::Release,
    Config::Debug,
    Config::Benchmark,
    Config::SmpRelease,
    Config::SmpDebug,
    Config::SmpBenchmark,
];

impl Config {
    /// Its name in the SDK.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
            Self::Benchmark => "benchmark",
            Self::SmpRelease => "smp-release",
            Self::SmpDebug => "smp-debug",
            Self::SmpBenchmark => "smp-benchmark",
        }
    }

    /// Whether its kernel runs on several cores.
    pub const fn has_cores(self) -> bool {
        matches!(self, Self::SmpRelease | Self::SmpDebug | Self::SmpBenchmark)
    }
}

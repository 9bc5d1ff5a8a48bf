//! The claim about scheduling.

use crate::capability::Thread;
use crate::claims::{Finding, list};
use crate::policy::{Core, Policy};
use crate::view::{Input, View};
use std::collections::BTreeMap;

pub(crate) fn scheduling(view: &View, policy: &Policy, finding: &mut Finding) {
    let threads: BTreeMap<&str, _> = view
        .threads
        .iter()
        .map(|thread| (thread.subject.name(), thread))
        .collect();
    let place = |line: u32| match view.input {
        Input::Description => format!(" (line {line})"),
        Input::Image => String::new(),
    };
    let order = policy.order();
    let order = order.iter().map(|names| {
        let threads = names.iter().filter_map(|name| threads.get(name));
        threads.copied().collect::<Vec<&Thread>>()
    });
    let order: Vec<_> = order.filter(|threads| !threads.is_empty()).collect();
    for pair in order.windows(2) {
        let [above, below] = pair else { continue };
        let pairs = above
            .iter()
            .flat_map(|above| below.iter().map(move |below| (above, below)));
        for (above, below) in pairs.filter(|(above, below)| above.priority <= below.priority) {
            finding.violation(format!(
                "{} has priority {}{}, not above {}'s {}{}",
                above.subject,
                above.priority,
                place(above.line),
                below.subject,
                below.priority,
                place(below.line)
            ));
        }
    }
    for core in &policy.core {
        alone(core, policy, finding);
        let lowest = order.last().into_iter().flatten();
        let lowest: Vec<&Thread> = lowest.copied().collect();
        let its = core.domains.iter();
        let its = its.filter_map(|name| threads.get(name.as_str()).copied());
        let mut above = lowest;
        for below in its {
            for above in above
                .iter()
                .filter(|above| above.priority <= below.priority)
            {
                finding.violation(format!(
                    "{} has priority {}{}, not above {}'s {}{}, which is on core {}: it would not be behind it in every queue",
                    above.subject,
                    above.priority,
                    place(above.line),
                    below.subject,
                    below.priority,
                    place(below.line),
                    core.number
                ));
            }
            above = vec![below];
        }
    }
    for thread in &view.threads {
        let core = policy.core_of(thread.subject.name());
        if thread.core != u64::from(core) {
            finding.violation(format!(
                "{}{} runs on core {}, but the policy demands {core}: on core 0 it would take time from the domains \
                below it, and on another core it would run beside those above it",
                thread.subject,
                place(thread.line),
                thread.core
            ));
        }
    }
    for thread in &view.threads {
        let subject = &thread.subject;
        if thread.max_priority > thread.priority {
            finding.violation(format!(
                "{subject} may give priority {}, above its own {}",
                thread.max_priority, thread.priority
            ));
        }
        if thread.budget_us.is_none() {
            finding.violation(format!("{subject} has no scheduling context of its own"));
        }
    }
    for name in policy.whole_budget() {
        let Some(thread) = threads.get(name) else {
            continue;
        };
        if thread.budget_us != thread.period_us {
            finding.violation(format!(
                "{name} has a budget of {} µs in a period of {} µs{}, not the whole period",
                thread.budget_us.unwrap_or(0),
                thread.period_us.unwrap_or(0),
                place(thread.line)
            ));
        }
    }
    for part in &policy.scheduling.part {
        let Some(thread) = threads.get(part.domain.as_str()) else {
            continue;
        };
        let (budget, period) = (thread.budget_us.unwrap_or(0), thread.period_us.unwrap_or(0));
        if budget.saturating_mul(100) > period.saturating_mul(part.most_percent) {
            finding.violation(format!(
                "{} has a budget of {budget} µs in a period of {period} µs{}, more than {} %: it could keep the domains below \
                 it from running",
                part.domain,
                place(thread.line),
                part.most_percent
            ));
        }
    }
    let whole: Vec<_> = policy.whole_budget().collect();
    for thread in order.iter().flatten() {
        let name = thread.subject.name();
        let parts = policy.scheduling.part.iter();
        let lines = whole.iter().filter(|other| **other == name).count()
            + parts.filter(|part| part.domain == name).count();
        if lines != 1 {
            finding.violation(format!(
                "{name}{} has {lines} lines about its budget: name it either in scheduling.whole_budget or in one \
                [[scheduling.part]]",
                place(thread.line)
            ));
        }
    }
    let priorities = order.iter().map(|threads| {
        let each = threads.iter();
        let each = each.map(|thread| format!("{} {}", thread.subject, thread.priority));
        each.collect::<Vec<_>>().join(", ")
    });
    finding.evidence(priorities.collect::<Vec<_>>().join(" > "));
    for core in &policy.core {
        let its = core.domains.iter();
        let its = its.filter_map(|name| threads.get(name.as_str()));
        let each = its.map(|thread| format!("{} {}", thread.subject, thread.priority));
        finding.evidence(format!(
            "core {}, where nobody else is: {}",
            core.number,
            each.collect::<Vec<_>>().join(" > ")
        ));
    }
    let budgets = order.iter().flatten().map(|thread| {
        format!(
            "{} {}/{} µs",
            thread.subject,
            thread.budget_us.unwrap_or(0),
            thread.period_us.unwrap_or(0)
        )
    });
    finding.evidence(format!(
        "budget/period: {}",
        budgets.collect::<Vec<_>>().join(", ")
    ));
}

/// Checks that a core other than core 0 belongs to one compartment, which is not the mediator's. Row M2 depends on
/// which domains send to the monitor from the monitor's core, and priorities do not hold back domains on other cores.
fn alone(core: &Core, policy: &Policy, finding: &mut Finding) {
    for domain in &core.domains {
        let together = |other: &&String| policy.are_together(domain, other);
        let engine = &policy.mediation.engine;
        if policy.compartment_of(domain).is_none() || policy.is_client(domain) || domain == engine {
            finding.violation(format!(
                "the policy has {domain} on core {}: only members of a compartment that do not deal with the outside run \
                 beside the others",
                core.number
            ));
        }
        if !core.domains.iter().all(|other| together(&other)) {
            finding.violation(format!(
                "the policy has {} on core {}, which are not one compartment",
                list(&core.domains),
                core.number
            ));
            break;
        }
    }
}

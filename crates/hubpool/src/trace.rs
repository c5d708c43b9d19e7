//! Spans: what a task logs stands beneath the span that submitted it.

#[cfg(feature = "tracing")]
use tracing::Span;

/// The span that submits a task. Without the feature `tracing` it is nothing.
#[derive(Debug)]
pub(crate) struct Trace {
    #[cfg(feature = "tracing")]
    parent: Span,
}

impl Trace {
    /// The span that the calling thread is in.
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            parent: Span::current(),
        }
    }

    /// Runs a task in a span of its own beneath that.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(clippy::unused_self, reason = "there is no span to enter")
    )]
    pub(crate) fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = {
            let span = tracing::debug_span!(parent: &self.parent, "task");
            // Where nobody wants spans of its level, the submitter's is still the task's.
            let wanted = !span.is_disabled();
            if wanted { span } else { self.parent.clone() }.entered()
        };
        f()
    }
}

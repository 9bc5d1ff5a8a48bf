//! One method for each request of a client.

use crate::client::Client;
use crate::error::SubmitError;
use crate::fine_tune::FineTune;
use crate::flights::RequestId;
use crate::infer::Infer;
use protocol::error::Failure;
use protocol::name::{ModelName, Nonce, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{BudgetChange, LogQuery, Request};

/// Each sends one request; the errors are those of [`Client::submit`]. If the user lacks the permission for a request,
/// audit refuses it with [`Event::Failed`](protocol::wire::client::Event::Failed).
#[allow(clippy::missing_errors_doc)] // Documented above.
impl<R: ReadWords, W: WriteWords> Client<'_, R, W> {
    /// Asks for text. Parts: `Text`. Ends with `Finished`.
    pub fn infer(&mut self, infer: &Infer<'_>) -> Result<RequestId, SubmitError> {
        self.submit_text(infer)
    }

    /// Checks whether a request for text is valid: the checks of [`Self::infer`], except for the link and the room.
    ///
    /// # Errors
    /// The reason, with the value and the limit.
    pub fn check(&mut self, infer: &Infer<'_>) -> Result<(), Failure> {
        self.check_text(infer)
    }

    /// Lists the formats of the policy. Parts: `Format`. Ends with `Listed`.
    pub fn formats(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Formats)
    }

    /// Lists the models in the store. Parts: `Model`. Ends with `Listed`.
    pub fn models(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Models)
    }

    /// Loads a model. Parts: `Progress`. Ends with `Loaded`.
    pub fn load(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Load { name })
    }

    /// Asks which model is loaded, and how its memory is used. Ends with `Status`.
    pub fn status(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Status)
    }

    /// Asks for audit's counters. Ends with `Stats`.
    pub fn stats(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Stats { watch: false })
    }

    /// Asks for audit's counters once a second. Parts: `Stats`. Ends with `Done`, after a [`Client::cancel`] or a
    /// login.
    pub fn watch_stats(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Stats { watch: true })
    }

    /// Becomes another user, if the policy allows this client to log in. A user without a passphrase logs in without
    /// one; any other name fails with `PassphraseNeeded`. Ends with `User`.
    pub fn login(
        &mut self,
        user: UserName,
        passphrase: Option<&[u8]>,
    ) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Login { user, passphrase })
    }

    /// Becomes the client's own user again, as set in the policy. Ends with `User`.
    pub fn logout(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Logout)
    }

    /// Asks which user this client is. Ends with `User`.
    pub fn who_am_i(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::WhoAmI)
    }

    /// Lists the users who can log in. Parts: `User`. Ends with `Listed`.
    pub fn users(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Users)
    }

    /// Asks for a user's budget, and changes it first if `change` says so. An empty name is the client's own user. Ends
    /// with `Budget`.
    pub fn budget(
        &mut self,
        user: UserName,
        change: BudgetChange,
    ) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Budget { user, change })
    }

    /// Reads the audit log. Parts: `Record`. Ends with `LogEnd`.
    pub fn log(&mut self, query: LogQuery) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Log(query))
    }

    /// Checks the chain of the audit log. Ends with `LogVerified`, or with `Done` after a [`Client::cancel`] or a
    /// login.
    pub fn verify_log(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::VerifyLog)
    }

    /// Has the device sign the head of its log together with `nonce`. Ends with `Attested`.
    pub fn attest(&mut self, nonce: Nonce) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Attest { nonce })
    }

    /// Has audit try again to start inference after too many restarts. Ends with `Done`.
    pub fn reset(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Reset)
    }

    /// Asks for permission to end the system, which is recorded. Ends with `Done`; audit itself goes on.
    pub fn halt(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Halt)
    }

    /// Lists this user's sessions, or everybody's if the user may change budgets. Parts: `Session`. Ends with `Listed`.
    pub fn sessions(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Sessions)
    }

    /// Trains an adapter for the loaded model. Parts: `Progress`, `Training`. Ends with `Tuned`.
    pub fn fine_tune(&mut self, tune: &FineTune) -> Result<RequestId, SubmitError> {
        self.submit(&Request::from(*tune))
    }

    /// Adds an example to [`EXAMPLES`](protocol::adapters::EXAMPLES): a line written by [`Example::line`]. Ends with
    /// `Examples`.
    ///
    /// [`Example::line`]: crate::Example::line
    pub fn example(&mut self, line: &str) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Example {
            text: line.as_bytes(),
        })
    }

    /// Forgets the examples. Ends with `Examples`.
    pub fn drop_examples(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::DropExamples)
    }

    /// Lists the adapters in the store and those made on this device. Parts: `Adapter`. Ends with `Listed`.
    pub fn adapters(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Adapters)
    }

    /// Loads an adapter beside the model. Parts: `Progress`. Ends with `AdapterLoaded`.
    pub fn load_adapter(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::LoadAdapter { name })
    }

    /// Unloads an adapter, and forgets it if it was made on this device. Ends with `Done`.
    pub fn drop_adapter(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::DropAdapter { name })
    }

    /// Reads the file of an adapter made on this device. Parts: `AdapterPart`. Ends with `Exported`, or with `Done`
    /// after a [`Client::cancel`] or a login.
    pub fn export_adapter(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::ExportAdapter { name })
    }

    /// Ends an idle session. Ends with `Done`.
    pub fn close(&mut self, session: SessionName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Close { session })
    }
}

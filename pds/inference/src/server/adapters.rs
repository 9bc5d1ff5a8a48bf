//! Adapters: loads, drops and fine-tuning.

use super::{OUTSIDE, Port, Service};
use crate::convert;
use crate::failure::{self, Detail};
use crate::tuning::Tuning;
use llm_core::backend::LlmBackend;
use llm_core::transformer::training::{TrainError, TrainProgress};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::TrainParams;
use protocol::wire::engine::Report;

impl<'s, R: ReadWords, W: WriteWords, B: LlmBackend> Service<'s, R, W, B> {
    pub(super) fn load_adapter(
        &mut self,
        request: u32,
        place: usize,
        file: Option<&[u8]>,
        base: &Hash,
        port: &mut impl Port,
    ) {
        let Some(file) = file else {
            return self.fail(request, Failure::of(ErrorCode::BadAdapter), OUTSIDE, port);
        };
        if self.tuning.is_some() {
            return self.fail(request, Failure::of(ErrorCode::Training), "", port);
        }
        match self.backend.load_adapter(place, file, base) {
            Ok(info) => {
                let positions = self.backend.occupancy().positions;
                let loaded = convert::adapter_loaded(&info, &self.backend.usage(), positions);
                self.send(request, &Report::AdapterLoaded(loaded), port);
            }
            Err(error) => {
                let (failure, detail) = failure::of_adapter(&error);
                self.fail(request, failure, &detail, port);
            }
        }
    }

    pub(super) fn drop_adapter(&mut self, request: u32, place: usize, port: &mut impl Port) {
        if self.tuning.is_some() {
            return self.fail(request, Failure::of(ErrorCode::Training), "", port);
        }
        if let Err(error) = self.backend.drop_adapter(place) {
            let (failure, detail) = failure::of_adapter(&error);
            self.fail(request, failure, &detail, port);
        }
    }

    pub(super) fn train(
        &mut self,
        request: u32,
        data: Option<&[u8]>,
        params: &TrainParams,
        base: Hash,
        room: u64,
        port: &mut impl Port,
    ) {
        let Some(data) = data else {
            return self.fail(request, Failure::of(ErrorCode::BadData), OUTSIDE, port);
        };
        if self.tuning.is_some() {
            return self.fail(request, Failure::of(ErrorCode::Training), "", port);
        }
        match self
            .backend
            .train(data, &convert::train_params(params, base))
        {
            Ok(plan) if plan.file > room => {
                self.backend.end_training();
                let failure = Failure::over(ErrorCode::AdapterRoom, plan.file, room);
                self.fail(request, failure, "", port);
            }
            Ok(plan) => {
                let tuning = Tuning::new(request, plan, room);
                let progress = tuning.progress();
                self.tuning = Some(tuning);
                self.send(request, &Report::Training(progress), port);
            }
            Err(error) => {
                let (failure, detail) = failure::of_train(&error);
                self.fail(request, failure, &detail, port);
            }
        }
    }

    /// A training has progressed or ended.
    pub(super) fn train_on(
        &mut self,
        progress: Result<TrainProgress, TrainError>,
        port: &mut impl Port,
    ) {
        let Some(tuning) = &mut self.tuning else {
            return;
        };
        let request = tuning.request;
        match progress {
            Ok(progress) => {
                let is_due = tuning.advance(progress);
                if progress.over {
                    if let Err((bytes, room)) = tuning.send() {
                        let failure = Failure::over(ErrorCode::AdapterRoom, bytes, room);
                        self.fail_training(request, failure, &Detail::new(), port);
                    }
                } else if is_due {
                    let progress = tuning.progress();
                    self.send(request, &Report::Training(progress), port);
                }
            }
            Err(error) => {
                let (failure, detail) = failure::of_train(&error);
                self.fail_training(request, failure, &detail, port);
            }
        }
    }

    fn fail_training(
        &mut self,
        request: u32,
        failure: Failure,
        detail: &Detail,
        port: &mut impl Port,
    ) {
        self.tuning = None;
        self.backend.end_training();
        self.fail(request, failure, detail, port);
    }
}

/// The slots of a system without a disk.
pub(super) const NO_SLOTS: &[u8] = &[];

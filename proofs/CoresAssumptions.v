(** Prints what each claim about the system on several cores rests on. The Makefile requires "Closed under the global
    context" for all. *)

From SeL4LLM Require Cores.

Print Assumptions Cores.I7_a_core_for_each_worker.
Print Assumptions Cores.M2_monitors_endpoint.
Print Assumptions Cores.M2_on_one_core.
Print Assumptions Cores.M2_audits_endpoint.
Print Assumptions Cores.M6_signals.
Print Assumptions Cores.C_alters.
Print Assumptions Cores.C_observes.
Print Assumptions Cores.C_altered.
Print Assumptions Cores.C_observed.
Print Assumptions Cores.workers_change_no_more_than_inference_could.
Print Assumptions Cores.compartment_and_clients_are_not_restricted.
Print Assumptions Cores.T1.
Print Assumptions Cores.T2.
Print Assumptions Cores.T2_writers.
Print Assumptions Cores.T2_readers.
Print Assumptions Cores.T2_threads_monitored.
Print Assumptions Cores.audit_log_is_audits.
Print Assumptions Cores.adapters_are_audits.
Print Assumptions Cores.model_store_is_constant.
Print Assumptions Cores.formats_are_constant.
Print Assumptions Cores.T3_between_clients.
Print Assumptions Cores.T3_behind_audit.
Print Assumptions Cores.T3_paths.
Print Assumptions Cores.T3.
Print Assumptions Cores.T3_reverse.
Print Assumptions Cores.T3_secrets.
Print Assumptions Cores.T4_paths.
Print Assumptions Cores.T4_clients_devices.
Print Assumptions Cores.what_is_withdrawn.

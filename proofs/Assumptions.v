(** Prints what each claim about a system rests on. The Makefile requires "Closed under the global context" for all. *)

From SeL4LLM Require Apply.

Print Assumptions Apply.in_all_order.
Print Assumptions Apply.clients_and_inference_are_not_restricted.
Print Assumptions Apply.T1.
Print Assumptions Apply.T1_attachments.
Print Assumptions Apply.T2.
Print Assumptions Apply.T2_identity.
Print Assumptions Apply.T2_answers.
Print Assumptions Apply.T2_badges.
Print Assumptions Apply.model_store_is_constant.
Print Assumptions Apply.formats_are_constant.
Print Assumptions Apply.audit_log_is_audits.
Print Assumptions Apply.adapters_are_audits.
Print Assumptions Apply.T3_paths.
Print Assumptions Apply.T3_paths_between_clients.
Print Assumptions Apply.T3.
Print Assumptions Apply.T3_secrets.
Print Assumptions Apply.T3_reverse.
Print Assumptions Apply.T3_between.
Print Assumptions Apply.T4_paths.
Print Assumptions Apply.T4_other_devices.
Print Assumptions Apply.T4.
Print Assumptions Apply.T4_order.

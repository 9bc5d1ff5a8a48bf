(** Prints what each claim rests on; the Makefile wants "Closed under the global context" for all. *)

From SeL4LLM Require Apply.

Print Assumptions Apply.T1.
Print Assumptions Apply.T1_attachments.
Print Assumptions Apply.T2.
Print Assumptions Apply.model_store_is_constant.
Print Assumptions Apply.audit_log_is_audits.
Print Assumptions Apply.T3_paths.
Print Assumptions Apply.T3.
Print Assumptions Apply.T3_secrets.
Print Assumptions Apply.T3_reverse.
Print Assumptions Apply.T4_paths.
Print Assumptions Apply.T4_other_devices.
Print Assumptions Apply.T4.
Print Assumptions Apply.T4_uart.
Print Assumptions Apply.T4_uart_order.

(** Prints what each claim about the system with a disk rests on. The Makefile requires "Closed under the global
    context" for all. *)

From SeL4LLM Require Masters Disk.

Print Assumptions Masters.mastering_nothing.
Print Assumptions Masters.booted_with_is_sound.
Print Assumptions Disk.files_disk_clients_and_inference_are_not_restricted.
Print Assumptions Disk.T1.
Print Assumptions Disk.T2.
Print Assumptions Disk.T2_writers.
Print Assumptions Disk.T2_readers.
Print Assumptions Disk.model_slots_are_audits.
Print Assumptions Disk.staging_is_audits.
Print Assumptions Disk.audit_log_is_audits.
Print Assumptions Disk.model_store_is_constant.
Print Assumptions Disk.T3_storage_and_clients.
Print Assumptions Disk.T3_behind_audit.
Print Assumptions Disk.inference_reaches_the_disk_only_through_audit.
Print Assumptions Disk.the_disk_reaches_inference_only_through_audit.
Print Assumptions Disk.inference_reaches_the_device_in_order.
Print Assumptions Disk.T3.
Print Assumptions Disk.T3_reverse.
Print Assumptions Disk.T3_secrets.
Print Assumptions Disk.T3_contents.
Print Assumptions Disk.the_assumption_is_needed.
Print Assumptions Disk.without_it_slots_are_anybodys.
Print Assumptions Disk.without_it_inference_reaches_the_disk.

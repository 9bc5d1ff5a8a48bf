(** Prints what each theorem about any number of clients rests on. The Makefile requires "Closed under the global
    context" for all. *)

From SeL4LLM Require Microkit Clients Compartments Composition.

Print Assumptions Microkit.boot_sound.
Print Assumptions Clients.no_complaints.
Print Assumptions Compartments.flow_next.
Print Assumptions Compartments.flow_to_hardware.
Print Assumptions Compartments.n_authority_never_grows.
Print Assumptions Compartments.compartments_are_not_restricted.
Print Assumptions Compartments.nobody_speaks_for_another.
Print Assumptions Compartments.what_it_said_stays.
Print Assumptions Compartments.what_it_was_told_stays.
Print Assumptions Compartments.rings_are_read_by_two.
Print Assumptions Compartments.its_only_badge.
Print Assumptions Compartments.badges_differ.
Print Assumptions Compartments.registers_are_its_own.
Print Assumptions Compartments.n_paths.
Print Assumptions Compartments.n_paths_to_server.
Print Assumptions Compartments.secrets_are_hidden.
Print Assumptions Compartments.n_mediation.
Print Assumptions Compartments.n_secrets.
Print Assumptions Compartments.n_mediation_to_server.
Print Assumptions Compartments.server_has_no_hardware.
Print Assumptions Compartments.n_device.
Print Assumptions Compartments.n_device_paths.
Print Assumptions Compartments.n_device_order.
Print Assumptions Composition.a_client_more.
Print Assumptions Composition.a_client_less.
Print Assumptions Composition.no_client_at_all.

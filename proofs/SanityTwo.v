(** * The theorems for n clients are not vacuous

    Responsible for: executions of the system with two clients (Triage.v), what happens in them and what does
    not; what the assumption on the monitor is for; and descriptions with other numbers of clients that the
    general theorems are about. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Flow Microkit Clients Compartments Composition Apply.
From SeL4LLM Require Instance.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.
Local Open Scope list_scope.

Definition shell : subject := Pd "shell".
Definition triage : subject := Pd "triage".

(** Without an assumption on the schedule, and with the monitor first at its endpoint. *)
Definition booted : state := boot Instance.system qemu_virt (fun _ _ => 0) (fun _ => []).
Definition booted_monitored : state := boot_with Instance.system qemu_virt [Monitor] (fun _ _ => 0) (fun _ => []).

Definition does (s : subject) (o : op) : event := (s, fun _ => o).
Definition stores (s : subject) (r : string) : event := (s, fun regs => Store (Shared r) 0 (hd 0 regs)).
Definition regs_of (st : state) (s : subject) : list N := registers (thr st s).

Example the_clients : client_names = ["shell"; "triage"].
Proof. now_computed. Qed.

(** ** What is allowed, happens *)

(** A request of triage's comes to inference by audit, with triage's own badge, and an answer comes back. *)
Definition request : list event :=
  [ does triage (Store (Shared "triage_to_audit") 0 42); does triage (Signal 10);
    does audit (Receive 1 4 (0, 0)); does audit (Load (Shared "triage_to_audit") 0);
      stores audit "audit_to_inference";
    does audit (Signal 11);
    does inference (Poll 1); does inference (Load (Shared "audit_to_inference") 0) ].

Example a_request_arrives :
  (regs_of (exec booted request) audit, regs_of (exec booted request) inference) = ([42; 2 ^ 4], [42; 1]).
Proof. now_computed. Qed.

Example it_arrives_with_the_monitor_first_too : regs_of (exec booted_monitored request) inference = [42; 1].
Proof. now_computed. Qed.

Definition answer : list event :=
  [ does audit (Store (Shared "audit_to_triage") 0 7); does audit (Signal 14);
    does triage (Poll 1); does triage (Load (Shared "audit_to_triage") 0) ].

Example an_answer_arrives : regs_of (exec booted answer) triage = [7; 1].
Proof. now_computed. Qed.

(** Audit passes from one client to another what it wants: T3 says that only audit does. *)
Definition passed_on : list event :=
  [ does triage (Store (Shared "triage_to_audit") 0 42); does audit (Load (Shared "triage_to_audit") 0);
    stores audit "audit_to_shell"; does shell (Load (Shared "audit_to_shell") 0) ].

Example audit_may_pass_it_on :
  (regs_of (exec booted passed_on) shell, regs_of (exec booted (filter (fun e => negb (fst e =s audit)) passed_on))
    shell)
  = ([42], [0]).
Proof. now_computed. Qed.

(** ** What a hostile client tries *)

Definition speaks_and_is_answered : list event :=
  [ does shell (Store (Shared "shell_to_audit") 0 42); does audit (Store (Shared "audit_to_shell") 0 43) ].

(** Triage writes shell's rings and inference's, reads both, signals and answers what it has no capability for. *)
Definition attack : list event :=
  map (does triage)
    [ Store (Shared "shell_to_audit") 0 1; Store (Shared "audit_to_shell") 0 1;
      Store (Shared "audit_to_inference") 0 1;
      Store (Shared "events") 0 1; Store (Shared "uart") 0 1;
      Load (Shared "shell_to_audit") 0; Load (Shared "audit_to_shell") 0; Load (Shared "inference_to_audit") 0;
      Load (Private shell) 0; Poll 10; Signal 11; Signal 14; Suspend 202; IrqAck 139;
        Answer 4 (fun _ => [1]) [] (0, 0) ].

Example an_attack_changes_and_learns_nothing :
  let st := exec booted (speaks_and_is_answered ++ attack) in
  (map (fun r => mem st (Shared r) 0) ["shell_to_audit"; "audit_to_shell"; "audit_to_inference"; "events"; "uart"],
   map (pending st) [audit; shell; inference], regs_of st triage)
  = ([42; 43; 0; 0; 0], [0; 0; 0], []).
Proof. now_computed. Qed.

(** Its signal to audit bears its own badge, whatever it does: shell's is 1. *)
Example it_signals_as_itself : pending (exec booted [does triage (Signal 10)]) audit = 2 ^ 4.
Proof. now_computed. Qed.

(** ** What the assumption on the monitor is for

    Microkit gives every domain without a parent the monitor's endpoint with Read, Write and Grant. Were the
    monitor not first there, two clients could talk to one another, *)
Definition whisper : list event := [ does shell (Send 2 Nonblocking [42] []); does triage (Receive 2 4 (0, 0)) ].

Example without_the_monitor_clients_can_talk : regs_of (exec booted whisper) triage = [3; 42].
Proof. now_computed. Qed.

(** and one could take the other's fault, and answer it with registers of its choice. *)
Definition usurped : list event :=
  [ does shell (Crash [6]); does triage (Receive 2 4 (0, 0)); does triage (Answer 4 (fun _ => [7]) [] (0, 0)) ].

Example without_the_monitor_a_client_can_answer_another :
  thr (exec booted usurped) shell = {| registers := [7]; run := Running |}.
Proof. now_computed. Qed.

(** With the monitor first, neither happens, and the monitor gets the message. *)
Example with_the_monitor_they_cannot :
  (regs_of (exec booted_monitored whisper) triage, regs_of (exec booted_monitored usurped) triage,
   run (thr (exec booted_monitored usurped) shell),
   regs_of (exec booted_monitored (whisper ++ [does Monitor (Receive 1 2 (0, 0))])) Monitor)
  = ([], [], SendBlocked Monitor, [3; 42]).
Proof. now_computed. Qed.

(** So without the assumption the graph has a way from one client to the other that avoids audit and the monitor. *)
Example the_way_is_in_the_graph : (separates sel4_llm cut shell triage, separates monitored cut shell triage) =
  (false, true).
Proof. now_computed. Qed.

(** ** One client more, one less, none, many *)

(** Shell alone. (The region [events] stays, and nobody maps it.) *)
Definition without_triage : description := removed "triage" Instance.system.

Example removed_is_in_order : mediated without_triage qemu_virt.
Proof.
  assert (H : In "triage" (map pd_name (clients Instance.system))) by (right; left; reflexivity).
  apply in_map_iff in H. destruct H as (c & N & C). unfold without_triage. rewrite <- N.
  apply a_client_less; [exact in_all_order | exact C].
Qed.

Example without_any : (complaints (headless Instance.system) qemu_virt, map pd_name (domains (headless
  Instance.system)))
  = ([], ["audit"; "inference"]).
Proof. now_computed. Qed.

(** Lines of a client called [name], with more mappings and interrupts than its rings. *)
Definition domain_of (name : string) (maps : list mapping) (irqs : list interrupt) : protection_domain := {|
  pd_name := name; pd_parent := None; pd_priority := 105; pd_budget := 1000; pd_period := 1000; pd_cpu := 0;
  pd_maps := map_of (out_ring name) true :: map_of (in_ring name) false :: maps;
  pd_irqs := irqs;
|}.

Definition lines_of (domain : protection_domain) (own : list memory_region) (number : N) : newcomer :=
  {| new_domain := domain; new_regions := own; ring_size := 0x23000; number_at_mediator := number; own_number := 0 |}.

Definition region_of (name : string) (phys : option N) : memory_region :=
  {| region_name := name; region_size := 0x1000; region_phys := phys; region_prefilled := false |}.

Definition asks (k : newcomer) : list string := objections k without_triage qemu_virt.

(** The integrator's check: of the new client's own lines only. The whole is then as it must be, *)
Definition triage_again : newcomer :=
  lines_of (domain_of "triage" [map_of "news" false] []) [region_of "news" None] 4.

Example no_objection : asks triage_again = [].
Proof. now_computed. Qed.

Example so_it_is_in_order : mediated (added triage_again without_triage) qemu_virt.
Proof. exact (a_client_more _ _ _ removed_is_in_order no_objection). Qed.

(** which computation finds, too: *)
Example as_computed : (complaints (added triage_again without_triage) qemu_virt,
  map pd_name (clients (added triage_again without_triage))) = ([], ["shell"; "triage"]).
Proof. now_computed. Qed.

(** A client with a device and its interrupt. *)
Example a_driver_may_be_added :
  objections (lines_of (domain_of "net" [map_of "nic" true] [{| irq_number := 79; irq_id := 1 |}])
                       [region_of "nic" (Some 0xa000000)] 5) without_triage (("nic", 79) :: qemu_virt) = [].
Proof. now_computed. Qed.

(** What is objected to. *)
Example objected_to :
  [ (* what another has *)
    asks (lines_of (domain_of "triage" [map_of "audit_to_shell" false] []) [] 4);
    asks (lines_of (domain_of "triage" [map_of "arena" false] []) [] 4);
    asks (lines_of (domain_of "triage" [] []) [region_of "uart" (Some 0x9000000)] 4);
    asks (lines_of (domain_of "triage" [] [{| irq_number := 33; irq_id := 1 |}]) [] 4);
    asks (lines_of (domain_of "shell" [] []) [] 4);
    asks (lines_of (domain_of "triage" [] []) [] 0);
    (* rights *)
    asks {| new_domain := {| pd_name := "triage"; pd_parent := None; pd_priority := 105; pd_budget := 1000;
      pd_period := 1000; pd_cpu := 0;
              pd_maps := [ map_of "triage_to_audit" true; map_of "audit_to_triage" true ]; pd_irqs := [] |};
            new_regions := []; ring_size := 0x23000; number_at_mediator := 4; own_number := 0 |};
    (* a parent *)
    asks {| new_domain := {| pd_name := "triage"; pd_parent := Some ("audit", 1); pd_priority := 105;
      pd_budget := 1000; pd_period := 1000; pd_cpu := 0;
              pd_maps := [ map_of "triage_to_audit" true; map_of "audit_to_triage" false ]; pd_irqs := [] |};
            new_regions := []; ring_size := 0x23000; number_at_mediator := 4; own_number := 0 |} ]
  = [ ["maps a region that is not its own"]; ["maps a region that is not its own"];
      ["region's name is taken"; "device's address is taken"; "does not map its region";
        "device's interrupt is taken"];
      ["interrupt is taken"];
      ["name is taken or not a client's"; "region's name is taken"];
      ["channel's number is taken"];
      ["rings' rights"];
      ["parent"] ].
Proof. now_computed. Qed.

(** Five clients, one after the other, on a system that had none. *)
Definition five : description :=
  fold_right (fun '(name, number) d => added (lines_of (domain_of name [] []) [] number) d) (headless Instance.system)
    [("a", 10); ("b", 11); ("c", 12); ("d", 13); ("e", 14)].

Example five_in_order : (complaints five qemu_virt, map pd_name (clients five)) = ([], ["e"; "d"; "c"; "b"; "a"]).
Proof. now_computed. Qed.

(** * The model is not vacuous

    Responsible for: executions that happen in the model, by computation. What seL4 allows, happens;
    what the theorems exclude is excluded by the checks and by the stated assumptions, and happens
    where these are dropped. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Microkit Apply.
From SeL4LLM Require Instance.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.
Local Open Scope list_scope.

Definition shell : subject := Pd "shell".
Definition uart : subject := Device "uart".

(** Memory is zero, registers are empty. *)
Definition booted : state := boot Instance.system qemu_virt (fun _ _ => 0) (fun _ => []).

Definition after (l : list event) : state := exec booted l.

(** A step that is the same whatever the registers hold. *)
Definition does (s : subject) (o : op) : event := (s, fun _ => o).

(** A step that stores the last result. *)
Definition stores (s : subject) (r : string) : event := (s, fun regs => Store (Shared r) 0 (hd 0 regs)).

Definition regs_of (st : state) (s : subject) : list N := registers (thr st s).

(** ** What is allowed, happens *)

(** A token of inference's comes to the terminal, by audit and shell. *)
Definition answer : list event :=
  [ does inference (Store (Shared "inference_to_audit") 0 42); does inference (Signal 10);
    does audit (Receive 1 4 (0, 0)); does audit (Load (Shared "inference_to_audit") 0); stores audit "audit_to_shell";
    does audit (Signal 10);
    does shell (Receive 2 4 (0, 0)); does shell (Load (Shared "audit_to_shell") 0); stores shell "uart" ].

Example a_token_arrives :
  (mem (after answer) (Shared "uart") 0, regs_of (after answer) audit, regs_of (after answer) shell)
  = (42, [42; 2], [42; 1]).
Proof. now_computed. Qed.

(** Without audit's steps it does not. *)
Example not_without_audit :
  mem (after (filter (fun e => negb (fst e =s audit)) answer)) (Shared "uart") 0 = 0.
Proof. now_computed. Qed.

(** A crash is received by audit with the child's badge; audit restarts the child. *)
Definition crash : list event := [ does inference (Crash [6; 99]); does audit (Receive 1 4 (0, 0)) ].

Example a_crash_arrives :
  (regs_of (after crash) audit, run (thr (after crash) inference), awaits (after crash) audit)
  = ([2 ^ 62; 6; 99], ReplyBlocked audit, Some inference).
Proof. now_computed. Qed.

Definition restart : list event := crash ++ [ does audit (Suspend 202); does audit (WriteRegisters 202 [0; 4096]); does audit (Resume 202) ].

Example a_restart_works :
  (thr (after restart) inference, awaits (after restart) audit)
  = ({| registers := [0; 4096]; run := Running |}, None).
Proof. now_computed. Qed.

(** Inference forges the same message on its fault endpoint, and sends capabilities with it. Audit cannot tell the one
    from the other; the capabilities go nowhere. *)
Definition forgery : list event := [ does inference (Send 2 Call [6; 99] [2; 3]); does audit (Receive 1 4 (458, 459)) ].

Example a_forged_fault_arrives : regs_of (after forgery) audit = regs_of (after crash) audit.
Proof. now_computed. Qed.

Example its_capabilities_do_not : cfg (after forgery) = G.
Proof. exact (T1 (fun _ _ => 0) (fun _ => []) forgery). Qed.

(** The UART's interrupt comes once, until shell acknowledges it. *)
Example an_interrupt_is_masked_until_acknowledged :
  (pending (after [does uart (Raise 33)]) shell,
   pending (after [does uart (Raise 33); does shell (Poll 1); does uart (Raise 33)]) shell,
   pending (after [does uart (Raise 33); does shell (Poll 1); does shell (IrqAck 139); does uart (Raise 33)]) shell)
  = (2, 0, 2).
Proof. now_computed. Qed.

(** ** What capabilities do not allow, does not happen *)

(** Shell has the read right on audit's notification, and still does not get inference's signal. *)
Definition theft : list event := [ does inference (Signal 10); does shell (Poll 10) ].

Example signals_are_not_stolen : (regs_of (after theft) shell, pending (after theft) audit) = ([], 2).
Proof. now_computed. Qed.

Definition intrusion : list event :=
  [ does inference (Store (Shared "audit_to_inference") 0 1); does inference (Store (Shared "uart") 0 1);
    does inference (Store (Shared "model_store") 0 1); does inference (Signal 11); does inference (Suspend 202);
    does inference (WriteRegisters 202 [1]); does inference (IrqAck 139); does inference (Raise 33) ].

Example an_intruder_changes_nothing :
  (map (fun r => mem (after intrusion) (Shared r) 0) ["audit_to_inference"; "uart"; "model_store"],
   map (fun s => (pending (after intrusion) s, thr (after intrusion) s)) [audit; shell; inference])
  = ([0; 0; 0], map (fun s => (0, thr booted s)) [audit; shell; inference]).
Proof. now_computed. Qed.

(** ** What the theorems' conditions are for *)

(** T1 is not built in. Where audit can name a CNode, [no_authority_source] fails, and a capability that
    inference sends arrives. *)
Definition with_cnode : description := {|
  regions := regions Instance.system; domains := domains Instance.system; channels := channels Instance.system;
  extras := [ {| extra_cnode := Inner audit; extra_slot := 458; extra_cap := CCNode (Inner audit) 49 0 9 |} ];
|}.

Definition receives_cap : state :=
  exec (boot with_cnode qemu_virt (fun _ _ => 0) (fun _ => []))
    [ does inference (Send 2 Blocking [] [4]); does audit (Receive 1 4 (458, 459)) ].

Example a_nameable_cnode_receives :
  (no_authority_source (cfg receives_cap), lookup G audit 459, lookup (cfg receives_cap) audit 459)
  = (false, None, Some (CReply inference)).
Proof. now_computed. Qed.

(** The discipline of TCB holders is needed. If the monitor unbound audit's notification, shell would
    get inference's signals. *)
Definition undisciplined : list event :=
  [ does Monitor (UnbindNotification 10); does inference (Signal 10); does shell (Poll 10) ].

Example an_unbound_notification_leaks : regs_of (after undisciplined) shell = [2].
Proof. now_computed. Qed.

(** What Microkit's read right on fault endpoints is good for, and T2_threads says: shell takes audit's
    fault in the monitor's place, and answers it. *)
Definition usurped : list event :=
  [ does audit (Crash [6]); does shell (Receive 2 4 (0, 0)); does shell (Answer 4 (fun _ => [7]) [] (0, 0)) ].

Example shell_may_answer_audits_fault :
  (regs_of (after usurped) shell, thr (after usurped) audit)
  = ([1; 6], {| registers := [7]; run := Running |}).
Proof. now_computed. Qed.

(** * The claims, for the system of [Instance.v]

    Responsible for: the names and the wiring that the claims speak of, the checks by computation, and
    the theorems T1 to T4 applied to the instance. Each proof by [now_computed] evaluates a decidable
    condition of the generated instance; an edit of [system.xml] that breaks a claim fails here, at the
    claim's name.

    BESIDE THE THEOREMS. They speak of capabilities and of what the kernel does with them. On
    qemu_virt_aarch64 two things reach across them, which docs/isolation.md lists as residual channels:
    - the generic timer's registers. The SDK's kernel lets every domain write them
      (KernelArmExportPTMRUser) and does not switch them per thread, so CNTP_CVAL carries 64 bits from
      inference to shell without a capability. T3 and T4 are about everything else. So IRQ 30 is a
      hint (audit's watchdog is the PL031), and a kernel without that option closes the channel.
    - caches. A domain holds its own VSpace capability, and on a kernel with hypervisor support, which
      this board's is, seL4_ARM_VSpace_Invalidate_Data needs no write right (src/arch/arm/64/kernel/
      vspace.c, decodeARMVSpaceRootInvocation): on hardware, though not in QEMU, a domain can discard
      another's written, not yet cleaned, cache lines of memory that it may only read. The model's
      memory has no caches. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend Flow Mediation Microkit.
From SeL4LLM Require Instance.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.
Local Open Scope list_scope.

Definition shell : subject := Pd "shell".
Definition audit : subject := Pd "audit".
Definition inference : subject := Pd "inference".

(** The board: the PL011 raises interrupt 33, the PL031 interrupt 34. The generic timer's, 30, is a
    line of its own. *)
Definition qemu_virt : wiring := [("uart", 33); ("rtc", 34)].
Definition uart : subject := Device "uart".

Definition sel4_llm : system := microkit Instance.system qemu_virt.
Definition G : config := capabilities sel4_llm.

Ltac now_computed := vm_compute; reflexivity.

Lemma filter_nil : forall A (f : A -> bool) l, filter f l = [] -> forall x, In x l -> f x = false.
Proof.
  intros A f l H x I. destruct (f x) eqn:E; [| reflexivity]. exfalso.
  assert (F : In x (filter f l)) by (apply filter_In; split; assumption). rewrite H in F. exact F.
Qed.

Lemma members : forall a b, forallb (fun s => is_member s b) a = true -> incl a b.
Proof. intros a b H s I. apply is_member_in. rewrite forallb_forall in H. apply H. exact I. Qed.

(** *** Comparison without regard to order

    What is beyond what is stated, and what is stated and is not so: both lists are shown when a claim
    fails. *)
Definition without_all {A} (eq : forall a b : A, {a = b} + {a <> b}) (a b : list A) : list A :=
  filter (fun x => negb (existsb (fun y => if eq x y then true else false) b)) a.

Definition differ {A} (eq : forall a b : A, {a = b} + {a <> b}) (actual stated : list A) : list A * list A :=
  (without_all eq actual stated, without_all eq stated actual).

Definition pair_dec {A B} (ea : forall a b : A, {a = b} + {a <> b}) (eb : forall a b : B, {a = b} + {a <> b}) :
  forall a b : A * B, {a = b} + {a <> b}.
Proof. decide equality. Defined.

Definition subject_pair_eq := pair_dec subject_eq subject_eq.
Definition string_pair_eq := pair_dec string_dec string_dec.

(** ** What the general theorems ask of a system *)

Theorem description_sane : description_is_sane Instance.system qemu_virt = true.
Proof. now_computed. Qed.

Theorem the_domains : differ string_dec (map pd_name (domains Instance.system)) ["audit"; "inference"; "shell"]
  = ([], []).
Proof. now_computed. Qed.

(** Whoever can name a capability from which authority could be made, with it. *)
Definition authority_sources : list (subject * list capability) :=
  filter (fun x => match snd x with [] => false | _ => true end)
    (map (fun s => (s, filter (fun c => negb (harmless s c)) (nameable G s))) (subjects G)).

Theorem I8_no_authority_source : authority_sources = [].
Proof. now_computed. Qed.

Theorem source : no_authority_source G = true.
Proof. now_computed. Qed.

Theorem closed : closed_universe sel4_llm = true.
Proof. now_computed. Qed.

Theorem attached_known : attached_inside sel4_llm = true.
Proof. now_computed. Qed.

(** ** The invariants of design.md, section 2

    Those that are statements about the graph's data. T1 to T4 below say what they are for. *)

Definition maps_of (s : string) : list mapping :=
  flat_map (fun p => if same_name s (pd_name p) then pd_maps p else []) (domains Instance.system).

Definition regions_of (s : string) : list string := map map_region (maps_of s).

Definition common (a b : string) : list string :=
  filter (fun r => existsb (same_name r) (regions_of b)) (regions_of a).

Definition channels_between (a b : string) : nat :=
  List.length (filter (fun '(x, y) => same_name (end_pd x) a && same_name (end_pd y) b) (ends Instance.system)).

(** I1. A region that nobody can write carries nothing; shell and inference do not share even that. *)
Theorem I1_no_common_region : common "shell" "inference" = [].
Proof. now_computed. Qed.

Theorem I1_no_channel : channels_between "shell" "inference" = 0%nat.
Proof. now_computed. Qed.

(** I2. Regions with more than one domain that maps them writable. *)
Definition writing_domains (r : string) : list string :=
  flat_map (fun p => if existsb (fun m => same_name r (map_region m) && map_write m) (pd_maps p)
                     then [pd_name p] else []) (domains Instance.system).

Definition several_writers : list (string * list string) :=
  filter (fun x => match snd x with [] | [_] => false | _ => true end)
    (map (fun r => (region_name r, writing_domains (region_name r))) (regions Instance.system)).

Theorem I2_one_writer : several_writers = [].
Proof. now_computed. Qed.

(** I5. *)
Definition writable_and_executable : list (string * string) :=
  flat_map (fun p => flat_map (fun m => if map_write m && map_execute m then [(pd_name p, map_region m)] else [])
                       (pd_maps p)) (domains Instance.system).

Theorem I5_write_xor_execute : writable_and_executable = [].
Proof. now_computed. Qed.

(** I6. Who maps which device, and who gets which interrupt. *)
Definition device_mappings : list (string * string) :=
  flat_map (fun p => flat_map (fun m =>
    if existsb (same_name (map_region m)) (devices Instance.system) then [(map_region m, pd_name p)] else [])
  (pd_maps p)) (domains Instance.system).

Theorem I6_devices : differ string_pair_eq device_mappings [("uart", "shell"); ("rtc", "audit")] = ([], []).
Proof. now_computed. Qed.

Definition interrupts : list (N * string) :=
  flat_map (fun p => map (fun i => (irq_number i, pd_name p)) (pd_irqs p)) (domains Instance.system).

Theorem I6_interrupts : differ (pair_dec N.eq_dec string_dec) interrupts
  [(33, "shell"); (34, "audit"); (30, "audit")] = ([], []).
Proof. now_computed. Qed.

(** I7, as far as the description goes: strict priorities, and a budget that is the period for who runs
    in what is left. Time is not in the model; T1 to T4 hold for every schedule. *)
Definition priority_of (s : string) : list N :=
  flat_map (fun p => if same_name s (pd_name p) then [pd_priority p] else []) (domains Instance.system).

Theorem I7_priorities :
  match priority_of "audit", priority_of "shell", priority_of "inference" with
  | [a], [s], [i] => (i <? s) && (s <? a) && (a <? 255)
  | _, _, _ => false
  end = true.
Proof. now_computed. Qed.

Theorem I7_whole_budget : forallb (fun p => (pd_budget p =? pd_period p) && (0 <? pd_budget p))
  (domains Instance.system) = true.
Proof. now_computed. Qed.

(** I8. Who holds whose TCB; and endpoints, of which there are but those for faults: nobody names one
    but to receive its input or to fault. *)
Definition tcbs : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CTcb t => [(s, t)] | _ => [] end) (nameable G s)) (subjects G).

Theorem I8_tcb_holders : differ subject_pair_eq tcbs
  [(audit, inference); (Monitor, audit); (Monitor, inference); (Monitor, shell)] = ([], []).
Proof. now_computed. Qed.

Definition endpoints : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CEndpoint e _ _ => [(s, e)] | _ => [] end) (nameable G s))
    (subjects G).

Theorem I8_fault_endpoints_only : differ subject_pair_eq endpoints
  [(audit, audit); (audit, Monitor); (inference, audit); (shell, Monitor); (Monitor, Monitor)] = ([], []).
Proof. now_computed. Qed.

Theorem I8_no_protected_procedure :
  filter (fun '(a, _) => end_pp a) (ends Instance.system) = [].
Proof. now_computed. Qed.

(** ** What is assumed of code

    [disciplined]: a holder of a TCB capability exchanges nobody's fault handler and nobody's bound
    notification. That is audit and Microkit's monitor; of shell and inference nothing is assumed. *)
Theorem only_audit_and_monitor_are_trusted_with_tcbs :
  differ subject_eq (filter (holds_tcb G) (subjects G)) [audit; Monitor] = ([], []).
Proof. now_computed. Qed.

Theorem shell_and_inference_are_not_restricted : forall program,
  disciplined G (shell, program) /\ disciplined G (inference, program).
Proof.
  intros program. split; intros H; exfalso; revert H.
  - change (holds_tcb G shell = true -> False). intros H. vm_compute in H. discriminate H.
  - change (holds_tcb G inference = true -> False). intros H. vm_compute in H. discriminate H.
Qed.

(** ** T1: authority never grows

    In every execution from boot, with any contents of memory, whatever all subjects do, the monitor
    and audit included: the capability distribution is the one that the Microkit tool made. *)
Theorem T1 : forall contents initial l, let booted := boot Instance.system qemu_virt contents initial in
  cfg (exec booted l) = G.
Proof. intros. apply (authority_never_grows booted). exact source. Qed.

(** Shell's and audit's fault handler and bound notification change only by the monitor, inference's by
    the monitor and audit, and only to what these two can name themselves. *)
Theorem T1_attachments : forall contents initial l t, let booted := boot Instance.system qemu_virt contents initial in
  attachment_origin G (attachments sel4_llm) t (attachment_of (attached (exec booted l)) t).
Proof. intros. apply (attachments_come_from_tcb_holders l booted). exact source. Qed.

(** ** T2: integrity *)

Definition writers (p : part) : list subject :=
  filter (fun s => existsb (fun q => if part_eq p q then true else false) (alters sel4_llm s)) (subjects G).

Definition readers (p : part) : list subject :=
  filter (fun s => existsb (fun q => if part_eq p q then true else false) (observes sel4_llm s)) (subjects G).

Lemma writers_complete : forall p s, In s (subjects G) -> In p (alters sel4_llm s) -> In s (writers p).
Proof.
  intros p s S A. apply filter_In. split; [assumption |]. apply existsb_exists. exists p.
  split; [assumption |]. destruct (part_eq p p); congruence.
Qed.

(** A part of the state changes only by a step of one of its writers. *)
Theorem T2 : forall p l st, sound sel4_llm st -> Forall (disciplined G) l ->
  (forall e, In e l -> ~ In (fst e) (writers p)) -> same p st (exec st l).
Proof.
  intros p l st So D W. apply (integrity sel4_llm source); try assumption.
  intros e I S A. apply (W e I). apply writers_complete; assumption.
Qed.

(** Who they are. A claim lists the parts for which it is not as stated. *)
Definition wrong (actual : part -> list subject) (stated : list (part * list subject)) :
  list (part * (list subject * list subject)) :=
  flat_map (fun '(p, l) => match differ subject_eq (actual p) l with ([], []) => [] | d => [(p, d)] end) stated.

Lemma as_stated : forall actual p l, wrong actual [(p, l)] = [] -> incl (actual p) l.
Proof.
  intros actual p l H s I. unfold wrong, differ in H. simpl in H.
  destruct (without_all subject_eq (actual p) l) eqn:E;
    [| destruct (without_all subject_eq l (actual p)); discriminate H].
  pose proof (filter_nil _ _ _ E s I) as F. simpl in F. apply negb_false_iff in F.
  apply existsb_exists in F. destruct F as (y & Y & F). destruct (subject_eq s y); [congruence | discriminate F].
Qed.

Definition memory (r : string) : part := PMemory (Shared r).

Theorem T2_rings : wrong writers
  [(memory "shell_to_audit", [shell]); (memory "audit_to_shell", [audit]);
   (memory "audit_to_inference", [audit]); (memory "inference_to_audit", [inference])] = [].
Proof. now_computed. Qed.

Theorem T2_ring_readers : wrong readers
  [(memory "shell_to_audit", [shell; audit]); (memory "audit_to_shell", [audit; shell]);
   (memory "audit_to_inference", [audit; inference]); (memory "inference_to_audit", [inference; audit])] = [].
Proof. now_computed. Qed.

Theorem T2_audit_log : wrong writers [(memory "audit_log", [audit])] = [].
Proof. now_computed. Qed.

Theorem T2_audit_log_readers : wrong readers [(memory "audit_log", [audit])] = [].
Proof. now_computed. Qed.

Theorem T2_arena : wrong writers [(memory "arena", [inference])] = [].
Proof. now_computed. Qed.

Theorem T2_arena_readers : wrong readers [(memory "arena", [inference])] = [].
Proof. now_computed. Qed.

Theorem T2_model_store : wrong writers [(memory "model_store", [])] = [].
Proof. now_computed. Qed.

(** The policy, where there is one: nobody writes it, nobody but audit reads it. *)
Theorem T2_policy : wrong writers [(memory "policy", [])] = [].
Proof. now_computed. Qed.

Theorem T2_policy_readers : without_all subject_eq (readers (memory "policy")) [audit] = [].
Proof. now_computed. Qed.

Theorem T2_devices : wrong writers
  [(memory "uart", [shell; uart]); (memory "rtc", [audit; Device "rtc"])] = [].
Proof. now_computed. Qed.

(** Program, stack and IPC buffer are each subject's own. *)
Definition own (s : subject) : part * list subject := (PMemory (Private s), [s]).

Theorem T2_private : wrong writers (map own [shell; audit; inference; Monitor]) = [].
Proof. now_computed. Qed.

Theorem T2_private_readers : wrong readers (map own [shell; audit; inference; Monitor]) = [].
Proof. now_computed. Qed.

(** Signals are added and taken as the channels say: to audit by both its peers, to each of these by
    audit alone, and by interrupts that they get or that audit may direct there. *)
Theorem T2_notifications : wrong writers
  [(PPending audit, [audit; inference; shell; uart; Device "rtc"; Line 30]);
   (PPending shell, [audit; shell; uart; Device "rtc"; Line 30]);
   (PPending inference, [audit; inference; Device "rtc"; Line 30])] = [].
Proof. now_computed. Qed.

(** A notification that is bound is received from by its own thread alone. *)
Theorem T2_notification_readers : wrong readers
  [(PPending audit, [audit]); (PPending shell, [shell]); (PPending inference, [inference])] = [].
Proof. now_computed. Qed.

(** Who may change whose registers and run state: TCB holders; and whoever may receive on an endpoint
    that a thread faults or sends to, by answering. Microkit gives fault endpoints with the read
    right, so shell and audit could take, and answer, one another's faults in the monitor's place. *)
Theorem T2_threads : wrong writers
  [(PThread shell, [audit; shell; Monitor]);
   (PThread audit, [audit; inference; shell; Monitor]);
   (PThread inference, [audit; inference; Monitor])] = [].
Proof. now_computed. Qed.

(** In every execution from boot the model store is as it was filled. *)
Corollary model_store_is_constant : forall contents initial l,
  let booted := boot Instance.system qemu_virt contents initial in
  Forall (disciplined G) l ->
  forall a, mem (exec booted l) (Shared "model_store") a = contents (Shared "model_store") a.
Proof.
  intros contents initial l booted D a.
  assert (H : same (memory "model_store") booted (exec booted l)).
  { apply T2; [apply boot_sound | assumption |]. intros e _ I. exact (as_stated _ _ _ T2_model_store _ I). }
  symmetry. apply H.
Qed.

(** Whatever shell and inference do, they leave the audit log alone. *)
Corollary audit_log_is_audits : forall l st, sound sel4_llm st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "audit_log") a = mem st (Shared "audit_log") a.
Proof.
  intros l st So D N a.
  assert (H : same (memory "audit_log") st (exec st l)).
  { apply T2; try assumption. intros e I W.
    destruct (as_stated _ _ _ T2_audit_log _ W) as [E | []]. apply (N e I). congruence. }
  symmetry. apply H.
Qed.

(** ** T3: mediation *)

Definition mediators : list subject := [audit; Monitor].

Theorem T3_inference_to_shell : separates sel4_llm mediators inference shell = true.
Proof. now_computed. Qed.

Theorem T3_shell_to_inference : separates sel4_llm mediators shell inference = true.
Proof. now_computed. Qed.

Lemma not_mediators : ~ In shell mediators /\ ~ In inference mediators /\ ~ In uart mediators.
Proof. repeat split; intros [E | [E | []]]; discriminate E. Qed.

(** In terms of paths: every path of the flow relation between shell and inference, in either direction,
    that avoids the monitor passes audit. *)
Theorem T3_paths : forall p,
  path sel4_llm inference p shell \/ path sel4_llm shell p inference -> ~ In Monitor p -> In audit p.
Proof.
  intros p [P | P] N.
  - destruct (every_path_passes sel4_llm closed attached_known _ _ _ T3_inference_to_shell p P)
      as (c & [<- | [<- | []]] & I); [exact I | contradiction].
  - destruct (every_path_passes sel4_llm closed attached_known _ _ _ T3_shell_to_inference p P)
      as (c & [<- | [<- | []]] & I); [exact I | contradiction].
Qed.

(** In terms of executions. Take any execution in which neither audit nor the monitor takes a step that
    reads what is tainted by inference (its steps, and all that it alone can see, are tainted from the
    start; taint spreads with every step that reads it). Leave out all of inference's steps and change
    all that is tainted at will: shell sees the same, to the bit. So a difference that inference makes
    reaches shell only if audit (or the monitor) took a step that read it. *)
Theorem T3 : forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  let behind := reach sel4_llm mediators inference in
  hidden sel4_llm mediators behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm mediators behind taint st l ->
  In inference behind /\
  agree sel4_llm shell (exec st l) (exec st' (without behind l)).
Proof.
  intros l taint st st' So So' D behind Hi E U.
  exact (separated_by_reading sel4_llm source closed attached_known mediators inference shell
           T3_inference_to_shell (proj1 not_mediators) l taint st st' So So' D Hi E U).
Qed.

(** What the arena, inference's program, stack and registers, and its ring to audit hold at the start is
    tainted in this sense: nobody but inference and the mediators can see it. *)
Definition of_inference : list part :=
  [memory "arena"; PMemory (Private inference); PThread inference; memory "inference_to_audit"; PPending inference].

Theorem T3_inference_secrets :
  are_hidden sel4_llm mediators (reach sel4_llm mediators inference) of_inference = true.
Proof. now_computed. Qed.

(** So two systems that boot with different weights, activations or conversations in inference look the
    same to shell until audit or the monitor reads what inference made of them. *)
Corollary T3_secrets : forall l st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  let behind := reach sel4_llm mediators inference in
  (forall p, ~ In p of_inference -> same p st st') ->
  unread_by sel4_llm mediators behind (fun p => In p of_inference) st l ->
  agree sel4_llm shell (exec st l) (exec st' (without behind l)).
Proof.
  intros l st st' So So' D behind E U.
  exact (proj2 (T3 l (fun p => In p of_inference) st st' So So' D
    (hidden_parts sel4_llm attached_known _ _ _ T3_inference_secrets) E U)).
Qed.

(** The same from shell to inference. *)
Theorem T3_reverse : forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  let behind := reach sel4_llm mediators shell in
  hidden sel4_llm mediators behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm mediators behind taint st l ->
  In shell behind /\
  agree sel4_llm inference (exec st l) (exec st' (without behind l)).
Proof.
  intros l taint st st' So So' D behind Hi E U.
  exact (separated_by_reading sel4_llm source closed attached_known mediators shell inference
           T3_shell_to_inference (proj1 (proj2 not_mediators)) l taint st st' So So' D Hi E U).
Qed.

(** Who is behind audit: inference alone on one side, shell and its UART on the other. *)
Theorem T3_behind_audit : wrong (fun p => match p with PThread s => reach sel4_llm mediators s | _ => [] end)
  [(PThread inference, [inference]); (PThread shell, [shell; uart])] = [].
Proof. now_computed. Qed.

(** ** T4: devices *)

Definition hardware : list subject :=
  filter (fun s => match s with Device _ | Line _ => true | _ => false end) (subjects G).

(** To every device and interrupt line, through audit. *)
Theorem T4_devices : filter (fun h => negb (separates sel4_llm mediators inference h)) hardware = [].
Proof. now_computed. Qed.

Lemma T4_device : forall h, In h hardware -> separates sel4_llm mediators inference h = true.
Proof. intros h H. apply negb_false_iff. exact (filter_nil _ _ _ T4_devices h H). Qed.

(** To the UART, from audit through shell. *)
Theorem T4_audit_to_uart : separates sel4_llm [shell; Monitor] audit uart = true.
Proof. now_computed. Qed.

Theorem T4_uart_exists : is_member uart hardware = true.
Proof. now_computed. Qed.

Lemma T4_inference_to_uart : separates sel4_llm mediators inference uart = true.
Proof. exact (T4_device uart (proj1 (is_member_in _ _) T4_uart_exists)). Qed.

(** In terms of paths. A path from inference to the UART that avoids the monitor passes audit, and
    wherever it passes audit it passes shell afterwards. *)
Theorem T4_paths : forall p, path sel4_llm inference p uart -> ~ In Monitor p ->
  In audit p /\ forall p1 p2, p = p1 ++ audit :: p2 -> In shell p2.
Proof.
  intros p P N. split.
  - destruct (every_path_passes sel4_llm closed attached_known _ _ _ T4_inference_to_uart p P) as (c & [<- | [<- | []]] & I);
      [exact I | contradiction].
  - intros p1 p2 E.
    apply (later_passes sel4_llm closed attached_known audit shell [Monitor] uart T4_audit_to_uart
             ltac:(discriminate) inference p P p1 p2 E).
    intros c [<- | []]. exact N.
Qed.

(** To any other device, a path that avoids the monitor passes audit. *)
Theorem T4_other_devices : forall h, In h hardware -> forall p, path sel4_llm inference p h ->
  ~ In Monitor p -> In audit p.
Proof.
  intros h H p P N.
  destruct (every_path_passes sel4_llm closed attached_known _ _ _ (T4_device h H) p P)
    as (c & [<- | [<- | []]] & I); [exact I | contradiction].
Qed.

(** In terms of executions: no device sees a difference that inference makes unless audit (or the
    monitor) took a step that read it; *)
Theorem T4 : forall h, In h hardware ->
  forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  let behind := reach sel4_llm mediators inference in
  hidden sel4_llm mediators behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm mediators behind taint st l ->
  agree sel4_llm h (exec st l) (exec st' (without behind l)).
Proof.
  intros h H l taint st st' So So' D behind Hi E U.
  assert (N : ~ In h mediators).
  { intros I. apply filter_In in H. destruct H as [_ H]. destruct I as [<- | [<- | []]]; discriminate H. }
  exact (proj2 (separated_by_reading sel4_llm source closed attached_known mediators inference h
           (T4_device h H) N l taint st st' So So' D Hi E U)).
Qed.

(** and the UART sees none that audit makes unless shell (or the monitor) took a step that read it; *)
Theorem T4_uart : forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  let behind := reach sel4_llm [shell; Monitor] audit in
  hidden sel4_llm [shell; Monitor] behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm [shell; Monitor] behind taint st l ->
  In audit behind /\
  agree sel4_llm uart (exec st l) (exec st' (without behind l)).
Proof.
  intros l taint st st' So So' D behind Hi E U.
  assert (N : ~ In uart [shell; Monitor]) by (intros [I | [I | []]]; discriminate I).
  exact (separated_by_reading sel4_llm source closed attached_known [shell; Monitor] audit uart
           T4_audit_to_uart N l taint st st' So So' D Hi E U).
Qed.

(** and in that order: from inference to the UART only by a step of audit that a step of shell
    follows. [l1] has no step of audit, [l2] none of shell. *)
Theorem T4_uart_order : forall l1 l2 st st', sound sel4_llm st -> sound sel4_llm st' ->
  Forall (disciplined G) (l1 ++ l2) ->
  (forall e, In e (l1 ++ l2) -> fst e <> Monitor) ->
  (forall e, In e l1 -> fst e <> audit) ->
  (forall e, In e l2 -> fst e <> shell) ->
  let behind := reach sel4_llm mediators inference in
  (forall v, ~ In v behind -> agree sel4_llm v st st') ->
  In inference behind /\
  agree sel4_llm uart (exec st (l1 ++ l2)) (exec st' (without behind (l1 ++ l2))).
Proof.
  intros l1 l2 st st' So So' D M A1 S2 behind A.
  assert (I : incl (reach sel4_llm [audit; Monitor] inference) (reach sel4_llm [shell; Monitor] audit))
    by (apply members; now_computed).
  assert (N : ~ In uart [Monitor]) by (intros [E | []]; discriminate E).
  assert (M' : forall e, In e (l1 ++ l2) -> ~ In (fst e) [Monitor])
    by (intros e Ie [E | []]; symmetry in E; exact (M e Ie E)).
  exact (separated_in_order sel4_llm source closed attached_known audit shell [Monitor] inference uart
           T4_inference_to_uart T4_audit_to_uart I ltac:(discriminate) N l1 l2 st st' So So' D M' A1 S2 A).
Qed.

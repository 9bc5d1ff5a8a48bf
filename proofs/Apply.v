(** * The claims, for the system of [Instance.v]

    Responsible for: the names and the wiring that the claims speak of, the checks by computation, and
    the theorems T1 to T4 applied to the instance. Its clients are all domains except audit and
    inference, however many there are. Each proof by [now_computed] evaluates a decidable condition of
    the generated instance. If an edit of [system.xml] breaks a claim, the proof with its name fails.

    [every_domain_in_order] is the condition of the theorems for n clients ([Compartments.v]). The other
    computed claims say more (stores, devices, priorities), or check on the graph itself what the
    theorems say about it.

    WHAT THE THEOREMS LEAVE OUT. They speak of capabilities and of what the kernel does with them. On
    qemu_virt_aarch64 there are two ways around them, which docs/isolation.md lists as residual channels:
    - the generic timer's registers. The SDK's kernel lets every domain write them
      (KernelArmExportPTMRUser) and does not switch them per thread, so CNTP_CVAL carries 64 bits from
      any domain to any other without a capability. T3 and T4 are about everything else. So audit treats
      IRQ 30 only as a hint (its watchdog is the PL031). A kernel without that option closes the channel.
    - caches. A domain holds its own VSpace capability, and on a kernel with hypervisor support, which
      this board's is, seL4_ARM_VSpace_Invalidate_Data needs no write right (src/arch/arm/64/kernel/
      vspace.c, decodeARMVSpaceRootInvocation). On hardware, though not in QEMU, a domain can discard
      cache lines that another domain has written and that are not yet cleaned, of memory that it may
      only read. The model's memory has no caches. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend Flow Mediation Microkit Clients Holdings.
From SeL4LLM Require Import Compartments.
From SeL4LLM Require Export Computed.
From SeL4LLM Require Instance.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.
Local Open Scope list_scope.

Definition audit : subject := Pd mediator.
Definition inference : subject := Pd server.

(** The names of the clients, and of all domains that must be kept apart. *)
Definition client_names : list string := map pd_name (clients Instance.system).
Definition apart_names : list string := server :: client_names.

Definition client_subjects : list subject := map Pd client_names.

(** The board: the PL011 raises interrupt 33, and the PL031 interrupt 34. The generic timer's
    interrupt, 30, belongs to no device region, so it is a subject of its own. *)
Definition qemu_virt : wiring := [("uart", 33); ("watchdog", 34)].

Definition sel4_llm : system := microkit Instance.system qemu_virt.
Definition G : config := capabilities sel4_llm.

(** The same if the monitor is first at its endpoint. Only claims about two clients need that. *)
Definition monitored : system := attended Instance.system qemu_virt.

Definition pairs : list (string * string) := pairs_of string_dec apart_names.

(** ** Conditions of the theorems *)

Theorem description_sane : description_is_sane Instance.system qemu_virt = true.
Proof. now_computed. Qed.

Theorem audit_and_inference : without_all string_dec [mediator; server] (map pd_name (domains Instance.system)) = [].
Proof. now_computed. Qed.

(** For each domain, the conditions of [Clients.v] that it does not meet. *)
Theorem every_domain_in_order : complaints Instance.system qemu_virt = [].
Proof. now_computed. Qed.

Lemma in_all_order : mediated Instance.system qemu_virt.
Proof. exact (no_complaints _ _ every_domain_in_order). Qed.

(** Each subject that can name a capability from which authority could be made, with those capabilities. *)
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

(** ** The invariants

    The invariants of docs/isolation.md that are statements about the graph's data. T1 to T4 below show
    what they are good for. *)

Definition maps_of (s : string) : list mapping :=
  flat_map (fun p => if same_name s (pd_name p) then pd_maps p else []) (domains Instance.system).

Definition regions_of (s : string) : list string := map map_region (maps_of s).

Definition common (a b : string) : list string :=
  filter (fun r => existsb (same_name r) (regions_of b)) (regions_of a).

Definition channels_between (a b : string) : nat :=
  List.length (filter (fun '(x, y) => same_name (end_pd x) a && same_name (end_pd y) b) (ends Instance.system)).

(** I1. Domains that are kept apart share no region, not even one that nobody can write. *)
Theorem I1_no_common_region : flat_map (fun '(a, b) => map (fun r => (a, b, r)) (common a b)) pairs = [].
Proof. now_computed. Qed.

Theorem I1_no_channel : filter (fun '(a, b) => negb (Nat.eqb (channels_between a b) 0)) pairs = [].
Proof. now_computed. Qed.

(** I2. No region is mapped writable by more than one domain. *)
Definition writing_domains (r : string) : list string :=
  flat_map (fun p => if existsb (fun m => same_name r (map_region m) && map_write m) (pd_maps p)
                     then [pd_name p] else []) (domains Instance.system).

Definition several_writers : list (string * list string) :=
  filter (fun x => match snd x with [] | [_] => false | _ => true end)
    (map (fun r => (region_name r, writing_domains (region_name r))) (regions Instance.system)).

Theorem I2_one_writer : several_writers = [].
Proof. now_computed. Qed.

(** I5. No domain maps a region writable and executable. *)
Definition writable_and_executable : list (string * string) :=
  flat_map (fun p => flat_map (fun m => if map_write m && map_execute m then [(pd_name p, map_region m)] else [])
                       (pd_maps p)) (domains Instance.system).

Theorem I5_write_xor_execute : writable_and_executable = [].
Proof. now_computed. Qed.

(** I6. No region with the name of one of the board's devices is ordinary memory. *)
Theorem I6_the_board : filter (fun r => existsb (same_name (region_name r)) (map fst qemu_virt)
                                        && negb (is_device Instance.system (region_name r)))
  (regions Instance.system) = [].
Proof. now_computed. Qed.

(** Which domain maps which device: audit maps only the watchdog, inference none, and no device is mapped by two
    domains. *)
Definition device_mappings : list (string * string) :=
  flat_map (fun p => flat_map (fun m =>
    if existsb (same_name (map_region m)) (devices Instance.system) then [(map_region m, pd_name p)] else [])
  (pd_maps p)) (domains Instance.system).

Definition is_trusted_or_server (s : string) : bool := same_name s mediator || same_name s server.

Theorem I6_devices : differ string_pair_eq (filter (fun '(_, s) => is_trusted_or_server s) device_mappings)
  [("watchdog", mediator)] = ([], []).
Proof. now_computed. Qed.

Theorem I6_one_domain_per_device : filter (fun '((r, a), (r', b)) => same_name r r')
  (pairs_of (pair_dec string_dec string_dec) device_mappings) = [].
Proof. now_computed. Qed.

(** Audit gets only the interrupts of the watchdog and of the timer, and inference gets none. *)
Definition interrupts : list (N * string) :=
  flat_map (fun p => map (fun i => (irq_number i, pd_name p)) (pd_irqs p)) (domains Instance.system).

Theorem I6_interrupts : differ (pair_dec N.eq_dec string_dec)
  (filter (fun '(_, s) => is_trusted_or_server s) interrupts) [(34, mediator); (30, mediator)] = ([], []).
Proof. now_computed. Qed.

(** I7, as far as the description goes. Audit has a higher priority than each client, and each client than inference.
    Audit and inference, which serve all clients, have a budget equal to their period. The model has no time: T1 to T4
    hold for every schedule. *)
Definition priority_of (s : string) : N :=
  match flat_map (fun p => if same_name s (pd_name p) then [pd_priority p] else []) (domains Instance.system) with
  | [n] => n
  | _ => 255
  end.

Theorem I7_priorities : filter (fun '(high, low) => negb (priority_of low <? priority_of high))
  ((mediator, server) :: map (pair mediator) client_names ++ map (fun c => (c, server)) client_names) = [].
Proof. now_computed. Qed.

Theorem I7_below_the_monitor : filter (fun p => negb (pd_priority p <? 255)) (domains Instance.system) = [].
Proof. now_computed. Qed.

(** All domains run on one core. The argument that the monitor is first at its endpoint ([monitored]) needs this. *)
Theorem I7_one_core : filter (fun p => negb (pd_cpu p =? 0)) (domains Instance.system) = [].
Proof. now_computed. Qed.

Theorem I7_whole_budget : filter (fun p => is_trusted_or_server (pd_name p)
                                           && negb ((pd_budget p =? pd_period p) && (0 <? pd_budget p)))
  (domains Instance.system) = [].
Proof. now_computed. Qed.

(** I8. Who holds whose TCB; and who can name which endpoint. There are only the endpoints for faults, and a subject
    names one only to receive its input or to report a fault. *)
Definition tcbs : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CTcb t => [(s, t)] | _ => [] end) (nameable G s)) (subjects G).

Theorem I8_tcb_holders : differ subject_pair_eq tcbs
  ([(audit, inference); (Monitor, audit); (Monitor, inference)] ++ map (pair Monitor) client_subjects) = ([], []).
Proof. now_computed. Qed.

Definition endpoints : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CEndpoint e _ _ => [(s, e)] | _ => [] end) (nameable G s))
    (subjects G).

Theorem I8_fault_endpoints_only : differ subject_pair_eq endpoints
  ([(audit, audit); (audit, Monitor); (inference, audit); (Monitor, Monitor)]
   ++ map (fun c => (c, Monitor)) client_subjects) = ([], []).
Proof. now_computed. Qed.

Theorem I8_no_protected_procedure :
  filter (fun '(a, _) => end_pp a) (ends Instance.system) = [].
Proof. now_computed. Qed.

(** ** What is assumed of code

    [disciplined]: a holder of a TCB capability does not exchange any thread's fault handler or bound
    notification. The holders are audit and Microkit's monitor. Nothing is assumed of clients and inference. *)
Theorem only_audit_and_monitor_are_trusted_with_tcbs :
  differ subject_eq (filter (holds_tcb G) (subjects G)) [audit; Monitor] = ([], []).
Proof. now_computed. Qed.

Theorem clients_and_inference_are_not_restricted : forall p program, In p (compartments Instance.system) ->
  disciplined G (Pd (pd_name p), program).
Proof.
  intros p program P. apply (compartments_are_not_restricted _ _ [] in_all_order). apply in_compartments. exact P.
Qed.

(** ** T1: authority never grows

    In every execution from boot, with any contents of memory and whatever all subjects do, including
    the monitor and audit, the capability distribution stays the one that the Microkit tool made. *)
Theorem T1 : forall contents initial l, let booted := boot Instance.system qemu_virt contents initial in
  cfg (exec booted l) = G.
Proof. intros. apply (authority_never_grows booted). exact source. Qed.

(** Only the monitor, and for inference also audit, can change a domain's fault handler and bound notification, and
    only to capabilities that they can name themselves. *)
Theorem T1_attachments : forall contents initial l t, let booted := boot Instance.system qemu_virt contents initial in
  attachment_origin G (attachments sel4_llm) t (attachment_of (attached (exec booted l)) t).
Proof. intros. apply (attachments_come_from_tcb_holders l booted). exact source. Qed.

(** ** T2: integrity *)

Definition writers : part -> list subject := writers_in sel4_llm.

Definition readers : part -> list subject := readers_in sel4_llm.

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

Definition memory (r : string) : part := PMemory (Shared r).

(** Of each pair of rings, one is written only by the domain that owns it, and the other only by audit; *)
Theorem T2_rings : wrong writers
  (flat_map (fun n => [(memory (out_ring n), [Pd n]); (memory (in_ring n), [audit])]) apart_names) = [].
Proof. now_computed. Qed.

Theorem T2_ring_readers : wrong readers
  (flat_map (fun n => [(memory (out_ring n), [Pd n; audit]); (memory (in_ring n), [audit; Pd n])]) apart_names) = [].
Proof. now_computed. Qed.

(** so in every execution, what audit reads in a client's ring was written by that client. Nobody can speak
    for another. *)
Theorem T2_identity : forall p, In p (compartments Instance.system) ->
  forall l st, sound sel4_llm st -> Forall (disciplined G) l -> (forall e, In e l -> fst e <> Pd (pd_name p)) ->
  same (memory (out_ring (pd_name p))) st (exec st l).
Proof.
  intros p P. apply (what_it_said_stays _ _ [] in_all_order). apply in_compartments. exact P.
Qed.

Theorem T2_answers : forall p, In p (compartments Instance.system) ->
  forall l st, sound sel4_llm st -> Forall (disciplined G) l -> (forall e, In e l -> fst e <> audit) ->
  same (memory (in_ring (pd_name p))) st (exec st l).
Proof.
  intros p P. apply (what_it_was_told_stays _ _ [] in_all_order). apply in_compartments. exact P.
Qed.

(** A domain signals audit only with the badge of its own channel: *)
Theorem T2_badges : forall p b r, In p (compartments Instance.system) ->
  In (CNotification audit b r) (nameable G (Pd (pd_name p))) ->
  exists a c, ends_of Instance.system p = [(a, c)] /\ b = 2 ^ end_id c.
Proof.
  intros p b r P. apply (its_only_badge _ _ [] in_all_order). apply in_compartments. exact P.
Qed.

Theorem T2_audit_log : wrong writers [(memory "audit_log", [audit])] = [].
Proof. now_computed. Qed.

Theorem T2_audit_log_readers : wrong readers [(memory "audit_log", [audit])] = [].
Proof. now_computed. Qed.

(** The adapters, which audit keeps for inference to read. No client reads them and inference does not write them, so
    they are not a way around audit in either direction. *)
Theorem T2_adapters : wrong writers [(memory "adapters", [audit])] = [].
Proof. now_computed. Qed.

Theorem T2_adapters_readers : wrong readers [(memory "adapters", [audit; inference])] = [].
Proof. now_computed. Qed.

Theorem T2_arena : wrong writers [(memory "arena", [inference])] = [].
Proof. now_computed. Qed.

Theorem T2_arena_readers : wrong readers [(memory "arena", [inference])] = [].
Proof. now_computed. Qed.

Theorem T2_model_store : wrong writers [(memory "model_store", [])] = [].
Proof. now_computed. Qed.

(** The formats that answers are bound to: nobody writes them, and only audit and inference read them. *)
Theorem T2_formats : wrong writers [(memory "formats", [])] = [].
Proof. now_computed. Qed.

Theorem T2_formats_readers : wrong readers [(memory "formats", [audit; inference])] = [].
Proof. now_computed. Qed.

(** The policy, if there is one: nobody writes it, and only audit reads it. *)
Theorem T2_policy : wrong writers [(memory "policy", [])] = [].
Proof. now_computed. Qed.

Theorem T2_policy_readers : without_all subject_eq (readers (memory "policy")) [audit] = [].
Proof. now_computed. Qed.

(** A device's registers: written by the device, and by the one domain that drives it. *)
Theorem T2_devices : wrong writers
  ((memory "watchdog", [audit; Device "watchdog"])
   :: flat_map (fun p => map (fun r => (memory r, [Pd (pd_name p); Device r]))
                           (devices_of Instance.system qemu_virt p))
        (clients Instance.system)) = [].
Proof. now_computed. Qed.

(** Program, stack and IPC buffer are each subject's own. *)
Definition own (s : subject) : part * list subject := (PMemory (Private s), [s]).

Theorem T2_private : wrong writers (map own ([audit; inference; Monitor] ++ client_subjects)) = [].
Proof. now_computed. Qed.

Theorem T2_private_readers : wrong readers (map own ([audit; inference; Monitor] ++ client_subjects)) = [].
Proof. now_computed. Qed.

(** Signals are sent and received only as the channels say: all peers signal audit, and only audit signals a peer.
    Interrupts signal the domains that get them, and those to which audit may direct them. *)
Definition raisers (p : protection_domain) : list subject :=
  filter (fun s => existsb (has_irq p) (lines G s)) (subjects G).

Definition audits_raisers : list subject := flat_map raisers (filter (is_named mediator) (domains Instance.system)).

Theorem T2_notifications : wrong writers
  ((PPending audit, [audit; inference] ++ client_subjects
      ++ flat_map raisers (clients Instance.system) ++ audits_raisers)
   :: (PPending inference, [audit; inference] ++ audits_raisers)
   :: map (fun p => (PPending (Pd (pd_name p)), [audit; Pd (pd_name p)] ++ raisers p ++ audits_raisers))
        (clients Instance.system)) = [].
Proof. now_computed. Qed.

(** Only the thread to which a notification is bound receives its signals. *)
Theorem T2_notification_readers : wrong readers
  (map (fun s => (PPending s, [s])) ([audit; inference] ++ client_subjects)) = [].
Proof. now_computed. Qed.

(** Who may change a thread's registers and run state: the holders of its TCB; and, by answering, every
    subject that may receive on an endpoint to which the thread faults or sends. Microkit gives out fault
    endpoints with the read right, so clients and audit could take and answer one another's faults instead
    of the monitor. *)
Theorem T2_threads : wrong writers
  ([(PThread audit, [audit; inference; Monitor] ++ client_subjects); (PThread inference, [audit; inference; Monitor])]
   ++ map (fun c => (PThread c, [audit; Monitor] ++ client_subjects)) client_subjects) = [].
Proof. now_computed. Qed.

(** If the monitor is first at its endpoint, they cannot. *)
Theorem T2_threads_monitored : wrong (writers_in monitored)
  ([(PThread audit, [audit; inference; Monitor]); (PThread inference, [audit; inference; Monitor])]
   ++ map (fun c => (PThread c, [c; Monitor])) client_subjects) = [].
Proof. now_computed. Qed.

(** In every execution from boot, the model store keeps its initial contents. *)
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

(** So do the formats: whatever anybody does, audit checks answers with the automata that were compiled with the policy. *)
Corollary formats_are_constant : forall contents initial l,
  let booted := boot Instance.system qemu_virt contents initial in
  Forall (disciplined G) l ->
  forall a, mem (exec booted l) (Shared "formats") a = contents (Shared "formats") a.
Proof.
  intros contents initial l booted D a.
  assert (H : same (memory "formats") booted (exec booted l)).
  { apply T2; [apply boot_sound | assumption |]. intros e _ I. exact (as_stated _ _ _ T2_formats _ I). }
  symmetry. apply H.
Qed.

(** Whatever clients and inference do, they leave the audit log alone. *)
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

(** Whatever clients and inference do, the adapters that audit keeps for inference do not change: inference reads the
    file whose hash audit has recorded. *)
Corollary adapters_are_audits : forall l st, sound sel4_llm st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "adapters") a = mem st (Shared "adapters") a.
Proof.
  intros l st So D N a.
  assert (H : same (memory "adapters") st (exec st l)).
  { apply T2; try assumption. intros e I W.
    destruct (as_stated _ _ _ T2_adapters _ W) as [E | []]. apply (N e I). congruence. }
  symmetry. apply H.
Qed.

(** ** T3: mediation *)

Definition cut : list subject := [audit; Monitor].

(** On the graph of the instance, by computation: audit and the monitor cut inference off from each client, and
    each client from inference, *)
Theorem T3_inference_to_clients : filter (fun c => negb (separates sel4_llm cut inference c)) client_subjects = [].
Proof. now_computed. Qed.

Theorem T3_clients_to_inference : filter (fun c => negb (separates sel4_llm cut c inference)) client_subjects = [].
Proof. now_computed. Qed.

(** and, if the monitor is first at its endpoint, each client from every other. *)
Theorem T3_between_clients : filter (fun '(a, b) => negb (separates monitored cut a b))
  (pairs_of subject_eq client_subjects) = [].
Proof. now_computed. Qed.

(** Who is behind audit: only inference on one side; on the other, each client by itself, with its
    hardware. *)
Definition hardware_of (p : protection_domain) : list subject :=
  filter (fun s => match s with Device _ | Line _ => belongs Instance.system qemu_virt p s | _ => false end)
    (subjects G).

Theorem T3_behind_audit : wrong (fun p => match p with PThread s => reach monitored cut s | _ => [] end)
  ((PThread inference, [inference])
   :: map (fun p => (PThread (Pd (pd_name p)), Pd (pd_name p) :: hardware_of p)) (clients Instance.system)) = [].
Proof. now_computed. Qed.

Lemma inference_is_there : exists s,
  In s (domains Instance.system) /\ pd_name s = server /\ compartment Instance.system s.
Proof.
  assert (H : In server (map pd_name (domains Instance.system))).
  { pose proof (filter_nil _ _ _ audit_and_inference server (or_intror (or_introl eq_refl))) as H.
    apply negb_false_iff in H.
    apply existsb_exists in H. destruct H as (y & Y & E). destruct (string_dec server y);
      [congruence | discriminate E]. }
  apply in_map_iff in H. destruct H as (s & N & I). exists s. repeat split; auto. rewrite N. discriminate.
Qed.

(** In terms of paths: every path of the flow relation between a client and inference, in either direction,
    that avoids the monitor passes through audit; *)
Theorem T3_paths : forall c, In c (clients Instance.system) -> forall p,
  path sel4_llm inference p (Pd (pd_name c)) \/ path sel4_llm (Pd (pd_name c)) p inference ->
  ~ In Monitor p -> In audit p.
Proof.
  intros c C p P N. apply in_clients in C. destruct inference_is_there as (s & S & Ns & Cs). destruct P as [P | P].
  - unfold inference in P. rewrite <- Ns in P.
    apply (n_paths _ _ [] in_all_order s Cs (or_intror Ns) (Pd (pd_name c))); try assumption.
    apply (apart _ _ in_all_order s c Cs (proj1 C)). intros E. destruct C. congruence.
  - exact (n_paths_to_server _ _ [] in_all_order c s C S Ns p P N).
Qed.

(** and so does every path between two clients, if the monitor is first at its endpoint. *)
Theorem T3_paths_between_clients : forall a b,
  In a (clients Instance.system) -> In b (clients Instance.system) -> a <> b ->
  forall p, path monitored (Pd (pd_name a)) p (Pd (pd_name b)) -> ~ In Monitor p -> In audit p.
Proof.
  intros a b A C N p P M. apply in_clients in A, C.
  apply (n_paths _ _ [Monitor] in_all_order a (proj1 A) (or_introl (or_introl eq_refl)) (Pd (pd_name b)));
    try assumption.
  exact (apart _ _ in_all_order a b (proj1 A) (proj1 C) N).
Qed.

(** In terms of executions. Take any execution in which neither audit nor the monitor takes a step that
    reads what is tainted by inference. (Inference's steps, and everything that only it can see, are
    tainted from the start; taint spreads with every step that reads it.) Leave out all of inference's
    steps and change everything that is tainted at will: every subject except inference, audit and the
    monitor sees the same, to the bit. So a difference that inference makes reaches a client or a device
    only if audit (or the monitor) takes a step that reads it. *)
Definition behind (p : protection_domain) : list subject := side Instance.system qemu_virt [] (only p).

Theorem T3 : forall s, In s (domains Instance.system) -> pd_name s = server ->
  forall v, v <> inference -> ~ In v cut ->
  forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  hidden sel4_llm cut (behind s) taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm cut (behind s) taint st l ->
  agree sel4_llm v (exec st l) (exec st' (without (behind s) l)).
Proof.
  intros s S Ns v V. assert (Cs : compartment Instance.system s) by (split; [assumption | rewrite Ns; discriminate]).
  apply (n_mediation _ _ [] in_all_order s Cs (or_intror Ns)).
  apply not_true_iff_false. intros H. destruct v as [n | | r | i].
  - apply belongs_pd in H. apply V. unfold inference. congruence.
  - discriminate H.
  - rewrite (server_has_no_hardware _ _ in_all_order s (Device r) Cs Ns I) in H. discriminate H.
  - rewrite (server_has_no_hardware _ _ in_all_order s (Line i) Cs Ns I) in H. discriminate H.
Qed.

(** The initial contents of the arena, of inference's program, stack and registers, and of its rings are tainted
    in this sense. So two systems that boot with different weights, activations or conversations in inference
    look the same to each client until audit or the monitor reads what inference made of them. *)
Theorem T3_secrets : forall s, In s (domains Instance.system) -> pd_name s = server ->
  forall c, In c (clients Instance.system) ->
  forall l st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  (forall p, ~ secrets s p -> same p st st') ->
  unread_by sel4_llm cut (behind s) (secrets s) st l ->
  agree sel4_llm (Pd (pd_name c)) (exec st l) (exec st' (without (behind s) l)).
Proof.
  intros s S Ns c C. apply in_clients in C. assert (Cs : compartment Instance.system s) by (split;
    [assumption | rewrite Ns; discriminate]).
  apply (n_secrets _ _ [] in_all_order s Cs (or_intror Ns)).
  - apply (apart _ _ in_all_order s c Cs (proj1 C)). intros E. destruct C. congruence.
  - exact (not_a_mediator _ c (proj1 C)).
Qed.

(** The same from all clients together to inference; *)
Definition behind_clients : list subject := side Instance.system qemu_virt [] but_server.

Theorem T3_reverse :
  forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  hidden sel4_llm cut behind_clients taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm cut behind_clients taint st l ->
  agree sel4_llm inference (exec st l) (exec st' (without behind_clients l)).
Proof.
  destruct inference_is_there as (s & S & Ns & _). exact (n_mediation_to_server _ _ [] in_all_order s S Ns).
Qed.

(** and from one client to another, if the monitor is first at its endpoint: [b] sees nothing of what [a] does,
    asks and is answered until audit or the monitor takes a step that reads it. *)
Theorem T3_between : forall a b, In a (clients Instance.system) -> In b (clients Instance.system) -> a <> b ->
  forall l st st', sound monitored st -> sound monitored st' -> Forall (disciplined (capabilities monitored)) l ->
  let behind_a := side Instance.system qemu_virt [Monitor] (only a) in
  (forall p, ~ secrets a p -> same p st st') ->
  unread_by monitored cut behind_a (secrets a) st l ->
  agree monitored (Pd (pd_name b)) (exec st l) (exec st' (without behind_a l)).
Proof.
  intros a b A C N. apply in_clients in A, C.
  apply (n_secrets _ _ [Monitor] in_all_order a (proj1 A) (or_introl (or_introl eq_refl))).
  - exact (apart _ _ in_all_order a b (proj1 A) (proj1 C) N).
  - exact (not_a_mediator _ b (proj1 C)).
Qed.

(** ** T4: devices *)

Definition hardware : list subject :=
  filter (fun s => match s with Device _ | Line _ => true | _ => false end) (subjects G).

(** Audit and the monitor cut inference off from every device and interrupt line. (T3 says the same about
    executions, because its [v] is any subject.) *)
Theorem T4_devices : filter (fun h => negb (separates sel4_llm cut inference h)) hardware = [].
Proof. now_computed. Qed.

(** The client and the monitor cut audit off from the client's devices and lines. *)
Theorem T4_clients_devices : flat_map (fun p =>
    filter (fun h => negb (separates sel4_llm [Pd (pd_name p); Monitor] audit h)) (hardware_of p))
  (clients Instance.system) = [].
Proof. now_computed. Qed.

(** In terms of paths. A path from inference to a client's device that avoids the monitor passes through audit,
    and after each place where it does, it also passes through the client. *)
Theorem T4_paths : forall c h, In c (clients Instance.system) -> In h (hardware_of c) ->
  forall p, path sel4_llm inference p h -> ~ In Monitor p ->
  In audit p /\ forall p1 p2, p = p1 ++ audit :: p2 -> In (Pd (pd_name c)) p2.
Proof.
  intros c h C H. apply in_clients in C. destruct inference_is_there as (s & S & Ns & _).
  apply filter_In in H. destruct H as [_ H].
  apply (n_device_paths _ _ [] in_all_order c s h C S Ns); destruct h; try discriminate H; try exact H; exact I.
Qed.

(** A path to any other device that avoids the monitor passes through audit. *)
Theorem T4_other_devices : forall h, In h hardware -> forall p, path sel4_llm inference p h ->
  ~ In Monitor p -> In audit p.
Proof.
  intros h H p P N. pose proof (none_left _ (separates sel4_llm cut inference) hardware T4_devices h H) as Se.
  destruct (every_path_passes sel4_llm closed attached_known _ _ _ Se p P) as (c & [<- | [<- | []]] & I);
    [exact I | contradiction].
Qed.

(** In terms of executions: a client's device sees no difference that anybody else makes unless the client
    takes a step that reads it; *)
Theorem T4 : forall c h, In c (clients Instance.system) -> In h (hardware_of c) ->
  forall l taint st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) l ->
  let all_others := beyond Instance.system qemu_virt [] c [] in
  hidden sel4_llm [Pd (pd_name c)] all_others taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by sel4_llm [Pd (pd_name c)] all_others taint st l ->
  agree sel4_llm h (exec st l) (exec st' (without all_others l)).
Proof.
  intros c h C H. apply in_clients in C. apply filter_In in H. destruct H as [_ H].
  apply (n_device _ _ [] in_all_order c h (proj1 C)); destruct h; try discriminate H; try exact H; exact I.
Qed.

(** and in that order: a difference gets from inference to a client's device only if a step of audit is followed
    by a step of the client. [l1] has no step of audit, and [l2] none of the client. *)
Theorem T4_order : forall s, In s (domains Instance.system) -> pd_name s = server ->
  forall c h, In c (clients Instance.system) -> In h (hardware_of c) ->
  forall l1 l2 st st', sound sel4_llm st -> sound sel4_llm st' -> Forall (disciplined G) (l1 ++ l2) ->
  (forall e, In e (l1 ++ l2) -> fst e <> Monitor) ->
  (forall e, In e l1 -> fst e <> audit) ->
  (forall e, In e l2 -> fst e <> Pd (pd_name c)) ->
  (forall v, ~ In v (behind s) -> agree sel4_llm v st st') ->
  agree sel4_llm h (exec st (l1 ++ l2)) (exec st' (without (behind s) (l1 ++ l2))).
Proof.
  intros s S Ns c h C H. apply in_clients in C. apply filter_In in H. destruct H as [_ H].
  apply (n_device_order _ _ [] in_all_order c s h C S Ns); destruct h; try discriminate H; try exact H; exact I.
Qed.

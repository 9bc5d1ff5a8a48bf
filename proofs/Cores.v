(** * The claims, for the system on several cores

    Responsible for: what systems/cores claims beyond, and unlike, the main system, for the instance of its description
    ([CoresInstance.v]). Three domains come in, worker1 to worker3 on cores 1 to 3, which compute rows for inference. They
    are one compartment with it: they trust each other, nobody else trusts any of them, and whatever a claim says of
    inference it says here of all four. That this is the right way to count is [C_alters] and [C_observes]: beyond the
    compartment a worker can change, and see, nothing that inference cannot. As in [Disk.v], cuts are computed on this
    instance and the general theorems applied to them.

    WHAT BECOMES OF ARGUMENTS THAT NEED ONE CORE. The model's steps are those of one subject after another, in any order.
    On several cores so are the kernel's, by its one lock; loads and stores of two cores are not, and what a core has
    written another may see late and in another order. T1 to T3 are about who can write and read what at all, and no
    theorem here rests on the order in which two cores see memory.

    - M2, the monitor's endpoint. That the monitor is first there ([monitored]) needs who sends there to be on its core,
      below it. So it is, though there are four: [M2_monitors_endpoint]. The rest of the argument is unchanged.
    - M2, audit's endpoint, where faults of the compartment go. Here the argument is WITHDRAWN: a worker on another core can
      receive there while audit is at work, and take or answer a fault of another member's. It is so in the theorems, which
      nowhere take audit to be first at its endpoint. [M2_audits_endpoint] says what is left: nobody outside of the
      compartment sends there, so that what a worker can take is the compartment's own. What it costs is time: a fault that
      audit never hears of is found by its deadline.
    - M6, notifications. That a bound one is received from by its own thread alone is a test in the kernel, under the lock,
      and needs no core: [M6_signals].

    What [Apply.v] says of the generic timer's registers and of caches holds here, too, for each core. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend Flow Mediation Microkit Clients Masters.
From SeL4LLM Require Export Computed.
From SeL4LLM Require Instance.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.
Local Open Scope list_scope.

Definition d : description := Instance.system.

Definition audit : subject := Pd mediator.
Definition inference : subject := Pd server.

(** The compartment: inference, its head, and the workers. *)
Definition worker_names : list string := ["worker1"; "worker2"; "worker3"].
Definition workers : list subject := map Pd worker_names.
Definition compartment_names : list string := server :: worker_names.
Definition compartment : list subject := map Pd compartment_names.

(** What its members share among themselves. *)
Definition common_regions : list string := ["arena"; "team"].

(** A client is a domain that is none of those with a name here. *)
Definition client_names : list string := without_all string_dec (map pd_name (domains d)) (mediator :: compartment_names).
Definition client_subjects : list subject := map Pd client_names.
Definition clients_domains : list protection_domain :=
  filter (fun p => existsb (same_name (pd_name p)) client_names) (domains d).

(** The board: as in [Apply.v]. *)
Definition qemu_virt : wiring := [("uart", 33); ("watchdog", 34)].

Definition on_cores : system := microkit d qemu_virt.
Definition G : config := capabilities on_cores.

(** The same if the monitor is first at its endpoint. Only what is between two clients needs it. *)
Definition monitored : system := attended d qemu_virt.

(** ** What the general theorems ask of a system *)

Theorem description_sane : description_is_sane d qemu_virt = true.
Proof. now_computed. Qed.

Theorem all_are_there : without_all string_dec (mediator :: compartment_names) (map pd_name (domains d)) = [].
Proof. now_computed. Qed.

Definition authority_sources : list (subject * list capability) :=
  filter (fun x => match snd x with [] => false | _ => true end)
    (map (fun s => (s, filter (fun c => negb (harmless s c)) (nameable G s))) (subjects G)).

Theorem I8_no_authority_source : authority_sources = [].
Proof. now_computed. Qed.

Theorem source : no_authority_source G = true.
Proof. now_computed. Qed.

Theorem closed : closed_universe on_cores = true.
Proof. now_computed. Qed.

Theorem attached_known : attached_inside on_cores = true.
Proof. now_computed. Qed.

(** ** The invariants, as far as they are of the graph *)

Definition regions_of (s : string) : list string :=
  flat_map (fun p => if same_name s (pd_name p) then map map_region (pd_maps p) else []) (domains d).

Definition common (a b : string) : list string :=
  filter (fun r => existsb (same_name r) (regions_of b)) (regions_of a).

Definition channels_between (a b : string) : nat :=
  List.length (filter (fun '(x, y) => same_name (end_pd x) a && same_name (end_pd y) b) (ends d)).

(** I1. Each of the compartment is kept apart from each client, and clients from one another; *)
Definition apart : list (string * string) :=
  list_prod compartment_names client_names ++ list_prod client_names compartment_names ++ pairs_of string_dec client_names.

Theorem I1_no_common_region : flat_map (fun '(a, b) => map (fun r => (a, b, r)) (common a b)) apart = [].
Proof. now_computed. Qed.

Theorem I1_no_channel : filter (fun '(a, b) => negb (Nat.eqb (channels_between a b) 0)) apart = [].
Proof. now_computed. Qed.

(** workers have to do with inference alone: not with audit, and not with each other but by what all of them map. *)
Theorem I1_workers_and_audit : map (fun w => (common w mediator, channels_between w mediator)) worker_names
  = map (fun _ => ([], 0%nat)) worker_names.
Proof. now_computed. Qed.

Theorem I1_workers : map (fun w => differ string_dec (regions_of w) common_regions) worker_names
  = map (fun _ => ([], [])) worker_names.
Proof. now_computed. Qed.

(** I2. The regions with several writers, and who they are: what the compartment has in common. *)
Definition writing_domains (r : string) : list string :=
  flat_map (fun p => if existsb (fun m => same_name r (map_region m) && map_write m) (pd_maps p)
                     then [pd_name p] else []) (domains d).

Definition mapping_domains (r : string) : list string :=
  flat_map (fun p => if has_map p r then [pd_name p] else []) (domains d).

Definition several_writers : list string :=
  filter (fun r => match writing_domains r with [] | [_] => false | _ => true end) (map region_name (regions d)).

Theorem I2_one_writer : differ string_dec several_writers common_regions = ([], []).
Proof. now_computed. Qed.

(** I3. *)
Theorem I3_common_regions : map (fun r => differ string_dec (mapping_domains r) compartment_names) common_regions
  = map (fun _ => ([], [])) common_regions.
Proof. now_computed. Qed.

(** I5. *)
Definition writable_and_executable : list (string * string) :=
  flat_map (fun p => flat_map (fun m => if map_write m && map_execute m then [(pd_name p, map_region m)] else [])
                       (pd_maps p)) (domains d).

Theorem I5_write_xor_execute : writable_and_executable = [].
Proof. now_computed. Qed.

(** I6. *)
Definition device_mappings : list (string * string) :=
  flat_map (fun p => flat_map (fun m =>
    if existsb (same_name (map_region m)) (devices d) then [(map_region m, pd_name p)] else [])
  (pd_maps p)) (domains d).

Definition is_client (s : string) : bool := existsb (same_name s) client_names.

Theorem I6_devices : differ string_pair_eq (filter (fun '(_, s) => negb (is_client s)) device_mappings)
  [("watchdog", mediator)] = ([], []).
Proof. now_computed. Qed.

Theorem I6_one_domain_per_device : filter (fun '((r, a), (r', b)) => same_name r r')
  (pairs_of (pair_dec string_dec string_dec) device_mappings) = [].
Proof. now_computed. Qed.

Definition interrupts : list (N * string) :=
  flat_map (fun p => map (fun i => (irq_number i, pd_name p)) (pd_irqs p)) (domains d).

Theorem I6_interrupts : differ (pair_dec N.eq_dec string_dec)
  (filter (fun '(_, s) => negb (is_client s)) interrupts) [(34, mediator); (30, mediator)] = ([], []).
Proof. now_computed. Qed.

(** I7. On core 0 as in the main system; *)
Definition domain_named (s : string) : list protection_domain := filter (is_named s) (domains d).

Definition priority_of (s : string) : N := match domain_named s with [p] => pd_priority p | _ => 255 end.

Theorem I7_priorities : filter (fun '(high, low) => negb (priority_of low <? priority_of high))
  (map (pair mediator) (client_names ++ compartment_names) ++ list_prod client_names compartment_names
   ++ map (pair server) worker_names) = [].
Proof. now_computed. Qed.

Theorem I7_below_the_monitor : filter (fun p => negb (pd_priority p <? 255)) (domains d) = [].
Proof. now_computed. Qed.

Theorem I7_whole_budget : filter (fun p => negb ((pd_budget p =? pd_period p) && (0 <? pd_budget p)))
  (flat_map domain_named (mediator :: compartment_names)) = [].
Proof. now_computed. Qed.

(** and each worker has a core of its own, where nobody else is. *)
Definition core_of (s : subject) : N :=
  match s with Pd n => match domain_named n with [p] => pd_cpu p | _ => 0 end | _ => 0 end.

Theorem I7_core_0 : filter (fun s => negb (core_of s =? 0)) (audit :: inference :: client_subjects) = [].
Proof. now_computed. Qed.

Theorem I7_a_core_for_each_worker : filter (fun s => core_of s =? 0) workers
  ++ filter (fun s => negb (Nat.eqb 1 (List.length (filter (fun p => pd_cpu p =? core_of s) (domains d))))) workers = [].
Proof. now_computed. Qed.

(** I8. *)
Definition tcbs : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CTcb t => [(s, t)] | _ => [] end) (nameable G s)) (subjects G).

Theorem I8_tcb_holders : differ subject_pair_eq tcbs
  (map (pair audit) compartment ++ map (pair Monitor) (audit :: compartment ++ client_subjects)) = ([], []).
Proof. now_computed. Qed.

Definition endpoints : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CEndpoint e _ _ => [(s, e)] | _ => [] end) (nameable G s))
    (subjects G).

Definition holders_of (e : subject) : list subject :=
  flat_map (fun '(s, x) => if subject_eq x e then [s] else []) endpoints.

Theorem I8_fault_endpoints_only : without_all subject_eq (map snd endpoints) [audit; Monitor] = [].
Proof. now_computed. Qed.

Theorem I8_no_protected_procedure : filter (fun '(a, _) => end_pp a) (ends d) = [].
Proof. now_computed. Qed.

(** *** The arguments of rows M2 and M6 *)

(** Who holds the monitor's endpoint, and on which core: none of the compartment, and nobody on another core than the
    monitor's. So whenever one of them runs, the monitor, which is above all of them there, waits. *)
Theorem M2_monitors_endpoint : differ subject_eq (holders_of Monitor) (Monitor :: audit :: client_subjects) = ([], []).
Proof. now_computed. Qed.

Theorem M2_on_one_core : filter (fun s => negb (core_of s =? core_of Monitor)) (holders_of Monitor) = [].
Proof. now_computed. Qed.

(** Who holds audit's: the compartment. *)
Theorem M2_audits_endpoint : differ subject_eq (holders_of audit) (audit :: compartment) = ([], []).
Proof. now_computed. Qed.

(** ** C: a compartment counts as one *)

Definition is_member_of (s : subject) : bool := existsb (fun x => if subject_eq s x then true else false) compartment.

(** What is the compartment's own: its members' objects and programs, and the common regions. *)
Definition inside (p : part) : bool :=
  match p with
  | PThread s | PMemory (Private s) | PPending s | PQueue s | PAwaits s => is_member_of s
  | PMemory (Shared r) => existsb (same_name r) common_regions
  | PIrq _ => false
  end.

Definition has_part (l : list part) (p : part) : bool := existsb (fun q => if part_eq p q then true else false) l.

Definition beyond_inference (able : system -> subject -> list part) (w : subject) : list part :=
  filter (fun p => negb (inside p) && negb (has_part (able on_cores inference) p)) (able on_cores w).

(** What a worker can change, or see, outside of the compartment, inference can. *)
Theorem C_alters : flat_map (beyond_inference alters) workers = [].
Proof. now_computed. Qed.

Theorem C_observes : flat_map (beyond_inference observes) workers = [].
Proof. now_computed. Qed.

(** What anybody outside can change, or see, of a worker, it can of inference. *)
Definition as_inference (p : part) : option part :=
  match p with
  | PThread s => if is_member_of s then Some (PThread inference) else None
  | PMemory (Private s) => if is_member_of s then Some (PMemory (Private inference)) else None
  | PPending s => if is_member_of s then Some (PPending inference) else None
  | PQueue s => if is_member_of s then Some (PQueue inference) else None
  | PAwaits s => if is_member_of s then Some (PAwaits inference) else None
  | _ => None
  end.

Definition unlike_inference (able : system -> subject -> list part) (s : subject) : list part :=
  filter (fun p => match as_inference p with Some q => negb (has_part (able on_cores s) q) | None => false end)
    (able on_cores s).

Definition outside : list subject := without_all subject_eq (subjects G) compartment.

Theorem C_altered : flat_map (unlike_inference alters) outside = [].
Proof. now_computed. Qed.

Theorem C_observed : flat_map (unlike_inference observes) outside = [].
Proof. now_computed. Qed.

Lemma has_part_in : forall l p, has_part l p = true <-> In p l.
Proof.
  intros l p. unfold has_part. rewrite existsb_exists. split.
  - intros (q & Q & E). destruct (part_eq p q); [congruence | discriminate E].
  - intros I. exists p. split; [assumption |]. destruct (part_eq p p); congruence.
Qed.

Lemma flat_none : forall A B (f : A -> list B) l, flat_map f l = [] -> forall x, In x l -> f x = [].
Proof.
  induction l as [| y l IH]; simpl; intros H x I; [contradiction |].
  apply app_eq_nil in H. destruct H. destruct I as [<- | I]; auto.
Qed.

Lemma a_worker_alters_what_inference_does : forall w p, In w workers -> In p (alters on_cores w) -> inside p = false ->
  In p (alters on_cores inference).
Proof.
  intros w p W A O. pose proof (flat_none _ _ _ _ C_alters w W) as H.
  pose proof (filter_nil _ _ _ H p A) as F. cbv beta in F. rewrite O in F. apply negb_false_iff in F.
  apply has_part_in. exact F.
Qed.

(** In terms of executions: whatever the workers do, what is not the compartment's, and what inference could not have
    changed, stays. *)
Theorem workers_change_no_more_than_inference_could : forall l st,
  sound on_cores st -> Forall (disciplined G) l -> (forall e, In e l -> In (fst e) workers) ->
  forall p, inside p = false -> ~ In p (alters on_cores inference) -> same p st (exec st l).
Proof.
  intros l st So D W p O N. apply (integrity on_cores source); try assumption.
  intros e I _ A. apply N. exact (a_worker_alters_what_inference_does (fst e) p (W e I) A O).
Qed.

(** ** What is assumed of code: as in the main system, of audit and the monitor alone *)
Theorem only_audit_and_monitor_are_trusted_with_tcbs :
  differ subject_eq (filter (holds_tcb G) (subjects G)) [audit; Monitor] = ([], []).
Proof. now_computed. Qed.

Theorem compartment_and_clients_are_not_restricted : forall s, In s (compartment ++ client_subjects) ->
  forall program, disciplined G (s, program).
Proof.
  intros s I program T. simpl in T.
  assert (H : filter (holds_tcb G) (compartment ++ client_subjects) = []) by now_computed.
  rewrite (filter_nil _ _ _ H s I) in T. discriminate T.
Qed.

(** ** T1: authority never grows *)
Theorem T1 : forall contents initial l, cfg (exec (booted_with on_cores contents initial) l) = G.
Proof. intros. apply (authority_never_grows (booted_with on_cores contents initial)). exact source. Qed.

(** ** T2: integrity *)

Definition writers : part -> list subject := writers_in on_cores.
Definition readers : part -> list subject := readers_in on_cores.

Theorem T2 : forall p l st, sound on_cores st -> Forall (disciplined G) l ->
  (forall e, In e l -> ~ In (fst e) (writers p)) -> same p st (exec st l).
Proof.
  intros p l st So D W. apply (integrity on_cores source); try assumption.
  intros e I S A. apply (W e I). apply filter_In. split; [assumption |]. apply existsb_exists. exists p.
  split; [assumption |]. destruct (part_eq p p); congruence.
Qed.

Definition memory (r : string) : part := PMemory (Shared r).

(** Where the compartment is not named whole, it is as if there were no workers. *)
Theorem T2_writers : wrong writers (
  [(memory "arena", compartment); (memory "team", compartment);
   (memory "audit_to_inference", [audit]); (memory "inference_to_audit", [inference]);
   (memory "audit_log", [audit]); (memory "adapters", [audit]);
   (memory "model_store", []); (memory "formats", []); (memory "policy", []);
   (memory "watchdog", [audit; Device "watchdog"])]
  ++ flat_map (fun n => [(memory (out_ring n), [Pd n]); (memory (in_ring n), [audit])]) client_names) = [].
Proof. now_computed. Qed.

Theorem T2_readers : wrong readers (
  [(memory "arena", compartment); (memory "team", compartment);
   (memory "audit_to_inference", [audit; inference]); (memory "inference_to_audit", [inference; audit]);
   (memory "audit_log", [audit]); (memory "adapters", [audit; inference]);
   (memory "model_store", [audit; inference]); (memory "formats", [audit; inference]); (memory "policy", [audit])]
  ++ flat_map (fun n => [(memory (out_ring n), [Pd n; audit]); (memory (in_ring n), [audit; Pd n])]) client_names) = [].
Proof. now_computed. Qed.

(** Program, stack and IPC buffer are each subject's own, also within the compartment. *)
Definition own (s : subject) : part * list subject := (PMemory (Private s), [s]).

Theorem T2_private : wrong writers (map own (audit :: Monitor :: compartment ++ client_subjects)) = [].
Proof. now_computed. Qed.

Theorem T2_private_readers : wrong readers (map own (audit :: Monitor :: compartment ++ client_subjects)) = [].
Proof. now_computed. Qed.

(** Registers. Within the compartment, one may answer another's fault in audit's place. *)
Theorem T2_threads : wrong writers
  ((PThread audit, audit :: Monitor :: compartment ++ client_subjects)
   :: map (fun m => (PThread m, audit :: Monitor :: compartment)) compartment
   ++ map (fun c => (PThread c, audit :: Monitor :: client_subjects)) client_subjects) = [].
Proof. now_computed. Qed.

(** If the monitor is first at its endpoint, a client's are changed by itself and the monitor alone. *)
Theorem T2_threads_monitored : wrong (writers_in monitored)
  ((PThread audit, audit :: Monitor :: compartment) :: map (fun c => (PThread c, [c; Monitor])) client_subjects) = [].
Proof. now_computed. Qed.

(** Row M6: a bound notification is received from by its own thread alone, on whatever core others are. *)
Theorem M6_signals : wrong readers (map (fun s => (PPending s, [s])) (audit :: compartment ++ client_subjects)) = [].
Proof. now_computed. Qed.

(** Nobody but inference signals a worker, the interrupts aside that audit may direct to inference and so there. *)
Theorem T2_workers_signals : map (fun w => filter (fun s => match s with Pd _ => true | _ => false end) (writers (PPending w)))
  workers = map (fun w => [inference; w]) workers.
Proof. now_computed. Qed.

Lemma audits_alone : forall r, wrong writers [(memory r, [audit])] = [] ->
  forall l st, sound on_cores st -> Forall (disciplined G) l -> (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared r) a = mem st (Shared r) a.
Proof.
  intros r H l st So D N a.
  assert (K : same (memory r) st (exec st l)).
  { apply T2; try assumption. intros e I W. destruct (as_stated _ _ _ H _ W) as [E | []]. apply (N e I). congruence. }
  symmetry. apply K.
Qed.

Theorem audit_log_is_audits : forall l st, sound on_cores st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "audit_log") a = mem st (Shared "audit_log") a.
Proof. apply audits_alone. now_computed. Qed.

Theorem adapters_are_audits : forall l st, sound on_cores st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "adapters") a = mem st (Shared "adapters") a.
Proof. apply audits_alone. now_computed. Qed.

Lemma constant : forall r, wrong writers [(memory r, [])] = [] ->
  forall contents initial l, let booted := booted_with on_cores contents initial in
  Forall (disciplined G) l -> forall a, mem (exec booted l) (Shared r) a = contents (Shared r) a.
Proof.
  intros r H contents initial l booted D a.
  assert (K : same (memory r) booted (exec booted l)).
  { apply T2; [apply booted_with_is_sound | assumption |]. intros e _ I. exact (as_stated _ _ _ H _ I). }
  symmetry. apply K.
Qed.

Theorem model_store_is_constant : forall contents initial l, let booted := booted_with on_cores contents initial in
  Forall (disciplined G) l -> forall a, mem (exec booted l) (Shared "model_store") a = contents (Shared "model_store") a.
Proof. apply constant. now_computed. Qed.

Theorem formats_are_constant : forall contents initial l, let booted := booted_with on_cores contents initial in
  Forall (disciplined G) l -> forall a, mem (exec booted l) (Shared "formats") a = contents (Shared "formats") a.
Proof. apply constant. now_computed. Qed.

(** ** T3: mediation *)

Definition cut : list subject := [audit; Monitor].

(** Audit and the monitor cut each of the compartment from each client, in both directions; nothing is assumed of who is
    first at an endpoint. *)
Theorem T3_from_the_compartment : filter (fun '(m, c) => negb (separates on_cores cut m c))
  (list_prod compartment client_subjects) = [].
Proof. now_computed. Qed.

Theorem T3_to_the_compartment : filter (fun '(c, m) => negb (separates on_cores cut c m))
  (list_prod client_subjects compartment) = [].
Proof. now_computed. Qed.

(** If the monitor is first at its endpoint, clients from one another. *)
Theorem T3_between_clients : filter (fun '(a, b) => negb (separates monitored cut a b))
  (pairs_of subject_eq client_subjects) = [].
Proof. now_computed. Qed.

(** Who is behind audit: the compartment, whoever of it one begins with, and nobody and no device besides. *)
Theorem T3_behind_audit : map (fun m => differ subject_eq (reach on_cores cut m) compartment) compartment
  = map (fun _ => ([], [])) compartment.
Proof. now_computed. Qed.

Lemma cut_off : forall m c, In m compartment -> In c client_subjects -> separates on_cores cut m c = true.
Proof.
  intros m c M C. exact (no_pair_left _ _ (separates on_cores cut) _ T3_from_the_compartment m c (in_prod _ _ _ _ M C)).
Qed.

Lemma cut_off_too : forall m c, In m compartment -> In c client_subjects -> separates on_cores cut c m = true.
Proof.
  intros m c M C. exact (no_pair_left _ _ (separates on_cores cut) _ T3_to_the_compartment c m (in_prod _ _ _ _ C M)).
Qed.

Lemma passes_audit : forall u v, separates on_cores cut u v = true ->
  forall p, path on_cores u p v -> ~ In Monitor p -> In audit p.
Proof.
  intros u v Se p P N.
  destruct (every_path_passes on_cores closed attached_known _ _ _ Se p P) as (c & [<- | [<- | []]] & I);
    [exact I | contradiction].
Qed.

(** In terms of paths. *)
Theorem T3_paths : forall m c, In m compartment -> In c client_subjects ->
  forall p, path on_cores m p c \/ path on_cores c p m -> ~ In Monitor p -> In audit p.
Proof.
  intros m c M C p [P | P].
  - exact (passes_audit m c (cut_off m c M C) p P).
  - exact (passes_audit c m (cut_off_too m c M C) p P).
Qed.

(** In terms of executions. Take any execution in which neither audit nor the monitor takes a step that reads what is
    tainted by a member. Leave out the steps of all of the compartment, and change at will what is tainted: a client sees
    the same, to the bit. *)
Theorem T3 : forall m c, In m compartment -> In c client_subjects -> forall l taint st st',
  sound on_cores st -> sound on_cores st' -> Forall (disciplined G) l ->
  let behind := reach on_cores cut m in
  hidden on_cores cut behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by on_cores cut behind taint st l ->
  agree on_cores c (exec st l) (exec st' (without behind l)).
Proof.
  intros m c M C l taint st st' So So' D behind Hi E U.
  refine (proj2 (separated_by_reading on_cores source closed attached_known cut m c (cut_off m c M C) _ l taint st st'
    So So' D Hi E U)).
  assert (H : filter (fun c => existsb (fun x => if subject_eq c x then true else false) cut) client_subjects = [])
    by now_computed.
  intros I. pose proof (filter_nil _ _ _ H c C) as F. apply not_true_iff_false in F. apply F. apply existsb_exists.
  exists c. split; [exact I |]. destruct (subject_eq c c); congruence.
Qed.

Theorem T3_reverse : forall m c, In m compartment -> In c client_subjects -> forall l taint st st',
  sound on_cores st -> sound on_cores st' -> Forall (disciplined G) l ->
  let behind := reach on_cores cut c in
  hidden on_cores cut behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by on_cores cut behind taint st l ->
  agree on_cores m (exec st l) (exec st' (without behind l)).
Proof.
  intros m c M C l taint st st' So So' D behind Hi E U.
  refine (proj2 (separated_by_reading on_cores source closed attached_known cut c m (cut_off_too m c M C) _ l taint st st'
    So So' D Hi E U)).
  destruct M as [<- | [<- | [<- | [<- | []]]]]; intros [X | [X | []]]; discriminate X.
Qed.

(** What only the compartment holds is tainted in this sense: *)
Definition secrets : list part :=
  map PThread compartment ++ map (fun m => PMemory (Private m)) compartment
  ++ map memory (common_regions ++ ["inference_to_audit"]).

Theorem T3_secrets_are_hidden : are_hidden on_cores cut (reach on_cores cut inference) secrets = true.
Proof. now_computed. Qed.

Corollary T3_secrets : forall c, In c client_subjects -> forall l st st',
  sound on_cores st -> sound on_cores st' -> Forall (disciplined G) l ->
  let behind := reach on_cores cut inference in
  (forall p, ~ In p secrets -> same p st st') ->
  unread_by on_cores cut behind (fun p => In p secrets) st l ->
  agree on_cores c (exec st l) (exec st' (without behind l)).
Proof.
  intros c C l st st' So So' D behind. apply (T3 inference c (or_introl eq_refl) C); try assumption.
  exact (hidden_parts on_cores attached_known _ _ _ T3_secrets_are_hidden).
Qed.

(** ** T4: devices *)

Definition hardware : list subject :=
  filter (fun s => match s with Device _ | Line _ => true | _ => false end) (subjects G).

(** From each of the compartment to every device and interrupt line, through audit; *)
Theorem T4_devices : filter (fun '(m, h) => negb (separates on_cores cut m h)) (list_prod compartment hardware) = [].
Proof. now_computed. Qed.

Theorem T4_paths : forall m h, In m compartment -> In h hardware ->
  forall p, path on_cores m p h -> ~ In Monitor p -> In audit p.
Proof.
  intros m h M H p P N. apply (passes_audit m h); try assumption.
  exact (no_pair_left _ _ (separates on_cores cut) _ T4_devices m h (in_prod _ _ _ _ M H)).
Qed.

(** and to a client's, from audit through the client. *)
Definition clients_devices : list (subject * subject) :=
  flat_map (fun p => map (fun r => (Pd (pd_name p), Device r)) (devices_of d qemu_virt p)) clients_domains.

Theorem T4_clients_devices : filter (fun '(c, h) => negb (separates on_cores [c; Monitor] audit h)) clients_devices = [].
Proof. now_computed. Qed.

(** ** The one-core argument is needed where it is still used

    If a worker's faults went to the monitor, as they would without a parent, it could take a client's from another core:
    its endpoint would be held on two cores ([M2_on_one_core] fails; in `test`). And if audit were taken to be first at
    its own endpoint, as on one core it is, no member could change another's registers: what is withdrawn is this. *)
Definition as_on_one_core : system := microkit_with d qemu_virt [audit; Monitor].

Theorem what_is_withdrawn : map (fun m => differ subject_eq (writers_in as_on_one_core (PThread m)) [m; audit; Monitor])
  compartment = map (fun _ => ([], [])) compartment.
Proof. now_computed. Qed.

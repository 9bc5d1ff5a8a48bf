(** * The claims, for the system with a disk

    Responsible for: what systems/disk claims beyond, and unlike, the main system, for the instance of its
    description ([DiskInstance.v]). It adds two domains that are not clients: disk, which drives the device, and files,
    which knows the file system. The conditions of [Clients.v] are not those of these two, so that nothing here goes by
    [Compartments.v]: cuts are computed on this instance, and the general theorems of [Flow.v] and [Mediation.v]
    applied to them.

    WHAT IS ASSUMED OF DISK, and of nobody else. The disk's device masters the bus. [bus] says where it reaches: its
    registers and the region dma. That it reaches nothing else is so because disk gives it no other address
    (pds/sel4/disk), and is this system's one assumption beyond the first one's: disk is a trusted subject by it. It
    is needed ([the_assumption_is_needed]). Otherwise nothing is assumed of disk, and nothing of files: in these
    theorems both take any step that their capabilities allow, at any time. An IOMMU would make [bus] a fact about the
    hardware, and disk as untrusted as files.

    What [Apply.v] says of the generic timer's registers and of caches holds here, too. *)

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
Definition files : subject := Pd "files".
Definition disk : subject := Pd "disk".
Definition device : subject := Device "virtio".

(** The side of the disk: two domains and the device. *)
Definition storage_names : list string := ["files"; "disk"].
Definition storage : list subject := [files; disk; device].

(** A client is a domain that is none of those with a name here. *)
Definition client_names : list string :=
  without_all string_dec (map pd_name (domains d)) ([mediator; server] ++ storage_names).
Definition client_subjects : list subject := map Pd client_names.

(** The board: the PL011 raises interrupt 33, the PL031 interrupt 34, the first virtio transport interrupt 48. *)
Definition qemu_virt : wiring := [("uart", 33); ("watchdog", 34); ("virtio", 48)].

(** The assumption: where the device reaches by itself. *)
Definition bus : masters := [("virtio", "dma")].

Definition with_disk : system := mastering bus (microkit d qemu_virt).
Definition G : config := capabilities with_disk.

(** The same if the monitor is first at its endpoint. Only what is between a client and the disk's side, and between two
    clients, needs it: they hold one endpoint, the monitor's. *)
Definition monitored : system := mastering bus (attended d qemu_virt).

(** ** What the general theorems ask of a system *)

Theorem description_sane : description_is_sane d qemu_virt = true.
Proof. now_computed. Qed.

Theorem all_are_there :
  without_all string_dec ([mediator; server] ++ storage_names) (map pd_name (domains d)) = [].
Proof. now_computed. Qed.

Definition authority_sources : list (subject * list capability) :=
  filter (fun x => match snd x with [] => false | _ => true end)
    (map (fun s => (s, filter (fun c => negb (harmless s c)) (nameable G s))) (subjects G)).

Theorem I8_no_authority_source : authority_sources = [].
Proof. now_computed. Qed.

Theorem source : no_authority_source G = true.
Proof. now_computed. Qed.

Theorem closed : closed_universe with_disk = true.
Proof. now_computed. Qed.

Theorem attached_known : attached_inside with_disk = true.
Proof. now_computed. Qed.

Theorem monitored_source : no_authority_source (capabilities monitored) = true.
Proof. now_computed. Qed.

Theorem monitored_closed : closed_universe monitored = true.
Proof. now_computed. Qed.

Theorem monitored_attached : attached_inside monitored = true.
Proof. now_computed. Qed.

(** ** The invariants, as far as they are of the graph *)

Definition maps_of (s : string) : list mapping :=
  flat_map (fun p => if same_name s (pd_name p) then pd_maps p else []) (domains d).

Definition regions_of (s : string) : list string := map map_region (maps_of s).

Definition common (a b : string) : list string :=
  filter (fun r => existsb (same_name r) (regions_of b)) (regions_of a).

Definition channels_between (a b : string) : nat :=
  List.length (filter (fun '(x, y) => same_name (end_pd x) a && same_name (end_pd y) b) (ends d)).

(** I1. Inference and the clients are kept apart from one another, and files and disk from all of them; *)
Definition apart : list (string * string) :=
  pairs_of string_dec (server :: client_names) ++ list_prod storage_names (server :: client_names).

Theorem I1_no_common_region : flat_map (fun '(a, b) => map (fun r => (a, b, r)) (common a b)) apart = [].
Proof. now_computed. Qed.

Theorem I1_no_channel : filter (fun '(a, b) => negb (Nat.eqb (channels_between a b) 0)) apart = [].
Proof. now_computed. Qed.

(** and disk has to do with files alone: not even with audit. *)
Theorem I1_disk_and_audit : (common "disk" mediator, channels_between "disk" mediator) = ([], 0%nat).
Proof. now_computed. Qed.

Theorem I1_disk_and_files : differ string_dec (common "disk" "files") ["files_to_disk"; "disk_to_files"] = ([], []).
Proof. now_computed. Qed.

Theorem I1_files_and_audit : differ string_dec (common "files" mediator) ["files_to_audit"; "audit_to_files"] = ([], []).
Proof. now_computed. Qed.

(** I2. *)
Definition writing_domains (r : string) : list string :=
  flat_map (fun p => if existsb (fun m => same_name r (map_region m) && map_write m) (pd_maps p)
                     then [pd_name p] else []) (domains d).

Definition several_writers : list (string * list string) :=
  filter (fun x => match snd x with [] | [_] => false | _ => true end)
    (map (fun r => (region_name r, writing_domains (region_name r))) (regions d)).

Theorem I2_one_writer : several_writers = [].
Proof. now_computed. Qed.

(** I5. *)
Definition writable_and_executable : list (string * string) :=
  flat_map (fun p => flat_map (fun m => if map_write m && map_execute m then [(pd_name p, map_region m)] else [])
                       (pd_maps p)) (domains d).

Theorem I5_write_xor_execute : writable_and_executable = [].
Proof. now_computed. Qed.

(** I6. *)
Theorem I6_the_board : filter (fun r => existsb (same_name (region_name r)) (map fst qemu_virt)
                                        && negb (is_device d (region_name r))) (regions d) = [].
Proof. now_computed. Qed.

Definition device_mappings : list (string * string) :=
  flat_map (fun p => flat_map (fun m =>
    if existsb (same_name (map_region m)) (devices d) then [(map_region m, pd_name p)] else [])
  (pd_maps p)) (domains d).

Definition is_client (s : string) : bool := existsb (same_name s) client_names.

Theorem I6_devices : differ string_pair_eq (filter (fun '(_, s) => negb (is_client s)) device_mappings)
  [("watchdog", mediator); ("virtio", "disk")] = ([], []).
Proof. now_computed. Qed.

Theorem I6_one_domain_per_device : filter (fun '((r, a), (r', b)) => same_name r r')
  (pairs_of (pair_dec string_dec string_dec) device_mappings) = [].
Proof. now_computed. Qed.

Definition interrupts : list (N * string) :=
  flat_map (fun p => map (fun i => (irq_number i, pd_name p)) (pd_irqs p)) (domains d).

Theorem I6_interrupts : differ (pair_dec N.eq_dec string_dec)
  (filter (fun '(_, s) => negb (is_client s)) interrupts) [(34, mediator); (30, mediator); (48, "disk")] = ([], []).
Proof. now_computed. Qed.

(** The device masters the bus only where one domain looks: disk. *)
Theorem I6_bus : map (fun '(_, r) => flat_map (fun p => if has_map p r then [pd_name p] else []) (domains d)) bus
  = [["disk"]].
Proof. now_computed. Qed.

(** I7. *)
Definition domain_named (s : string) : list protection_domain := filter (is_named s) (domains d).

Definition priority_of (s : string) : N := match domain_named s with [p] => pd_priority p | _ => 255 end.

Theorem I7_priorities : filter (fun '(high, low) => negb (priority_of low <? priority_of high))
  (map (pair mediator) (client_names ++ storage_names ++ [server])
   ++ list_prod client_names (storage_names ++ [server])
   ++ [("disk", "files"); ("files", server)]) = [].
Proof. now_computed. Qed.

Theorem I7_below_the_monitor : filter (fun p => negb (pd_priority p <? 255)) (domains d) = [].
Proof. now_computed. Qed.

(** Everything is on one core, which is what makes the monitor first at its endpoint ([monitored]). *)
Theorem I7_one_core : filter (fun p => negb (pd_cpu p =? 0)) (domains d) = [].
Proof. now_computed. Qed.

Theorem I7_whole_budget : filter (fun p => negb ((pd_budget p =? pd_period p) && (0 <? pd_budget p)))
  (flat_map domain_named [mediator; server; "disk"]) = [].
Proof. now_computed. Qed.

(** A fifth of the time at least is not files'. *)
Theorem I7_files_leaves_time : filter (fun p => negb (pd_budget p * 100 <=? pd_period p * 80)) (domain_named "files") = [].
Proof. now_computed. Qed.

(** I8. *)
Definition tcbs : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CTcb t => [(s, t)] | _ => [] end) (nameable G s)) (subjects G).

Theorem I8_tcb_holders : differ subject_pair_eq tcbs
  ([(audit, inference); (Monitor, audit); (Monitor, inference); (Monitor, files); (Monitor, disk)]
   ++ map (pair Monitor) client_subjects) = ([], []).
Proof. now_computed. Qed.

Definition endpoints : list (subject * subject) :=
  flat_map (fun s => flat_map (fun c => match c with CEndpoint e _ _ => [(s, e)] | _ => [] end) (nameable G s))
    (subjects G).

Theorem I8_fault_endpoints_only : differ subject_pair_eq endpoints
  ([(audit, audit); (audit, Monitor); (inference, audit); (Monitor, Monitor); (files, Monitor); (disk, Monitor)]
   ++ map (fun c => (c, Monitor)) client_subjects) = ([], []).
Proof. now_computed. Qed.

Theorem I8_no_protected_procedure : filter (fun '(a, _) => end_pp a) (ends d) = [].
Proof. now_computed. Qed.

(** ** What is assumed of code

    Of the holders of TCBs, audit and the monitor, as in the main system; of disk, [bus]; of nobody else anything. *)
Theorem only_audit_and_monitor_are_trusted_with_tcbs :
  differ subject_eq (filter (holds_tcb G) (subjects G)) [audit; Monitor] = ([], []).
Proof. now_computed. Qed.

Lemma not_restricted : forall s, holds_tcb G s = false -> forall program, disciplined G (s, program).
Proof. intros s H program T. simpl in T. congruence. Qed.

Theorem files_disk_clients_and_inference_are_not_restricted : forall s, In s (inference :: storage ++ client_subjects) ->
  forall program, disciplined G (s, program).
Proof.
  intros s I. apply not_restricted.
  assert (H : filter (holds_tcb G) (inference :: storage ++ client_subjects) = []) by now_computed.
  exact (filter_nil _ _ _ H s I).
Qed.

(** ** T1: authority never grows *)
Theorem T1 : forall contents initial l, cfg (exec (booted_with with_disk contents initial) l) = G.
Proof. intros. apply (authority_never_grows (booted_with with_disk contents initial)). exact source. Qed.

(** ** T2: integrity *)

Definition writers : part -> list subject := writers_in with_disk.
Definition readers : part -> list subject := readers_in with_disk.

Theorem T2 : forall p l st, sound with_disk st -> Forall (disciplined G) l ->
  (forall e, In e l -> ~ In (fst e) (writers p)) -> same p st (exec st l).
Proof.
  intros p l st So D W. apply (integrity with_disk source); try assumption.
  intros e I S A. apply (W e I). apply filter_In. split; [assumption |]. apply existsb_exists. exists p.
  split; [assumption |]. destruct (part_eq p p); congruence.
Qed.

Definition memory (r : string) : part := PMemory (Shared r).

(** Who writes and reads which region. Inference is no writer of the slots, and reads neither the staging copy nor what
    files says; files and disk write but their rings, and the device but dma and its registers. *)
Theorem T2_writers : wrong writers (
  [(memory "model_slots", [audit]); (memory "staging", [audit]); (memory "dma", [disk; device]);
   (memory "virtio", [disk; device]); (memory "audit_to_files", [audit]); (memory "files_to_audit", [files]);
   (memory "files_to_disk", [files]); (memory "disk_to_files", [disk]);
   (memory "audit_to_inference", [audit]); (memory "inference_to_audit", [inference]);
   (memory "audit_log", [audit]); (memory "adapters", [audit]); (memory "arena", [inference]);
   (memory "model_store", []); (memory "formats", []); (memory "policy", []);
   (memory "watchdog", [audit; Device "watchdog"])]
  ++ flat_map (fun n => [(memory (out_ring n), [Pd n]); (memory (in_ring n), [audit])]) client_names) = [].
Proof. now_computed. Qed.

Theorem T2_readers : wrong readers (
  [(memory "model_slots", [audit; inference]); (memory "staging", [audit]); (memory "dma", [disk; device]);
   (memory "virtio", [disk; device]); (memory "audit_to_files", [audit; files]); (memory "files_to_audit", [files; audit]);
   (memory "files_to_disk", [files; disk]); (memory "disk_to_files", [disk; files]);
   (memory "audit_to_inference", [audit; inference]); (memory "inference_to_audit", [inference; audit]);
   (memory "audit_log", [audit]); (memory "adapters", [audit; inference]); (memory "arena", [inference]);
   (memory "model_store", [audit; inference]); (memory "formats", [audit; inference]); (memory "policy", [audit])]
  ++ flat_map (fun n => [(memory (out_ring n), [Pd n; audit]); (memory (in_ring n), [audit; Pd n])]) client_names) = [].
Proof. now_computed. Qed.

(** Program, stack and IPC buffer are each subject's own. *)
Definition own (s : subject) : part * list subject := (PMemory (Private s), [s]).

Theorem T2_private : wrong writers (map own ([audit; inference; files; disk; Monitor] ++ client_subjects)) = [].
Proof. now_computed. Qed.

Theorem T2_private_readers : wrong readers (map own ([audit; inference; files; disk; Monitor] ++ client_subjects)) = [].
Proof. now_computed. Qed.

(** In terms of executions: whatever files, disk, its device, clients and inference do, a model slot changes only by a
    step of audit. So what audit has verified and copied there is what inference reads. *)
Lemma audits_alone : forall r, wrong writers [(memory r, [audit])] = [] ->
  forall l st, sound with_disk st -> Forall (disciplined G) l -> (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared r) a = mem st (Shared r) a.
Proof.
  intros r H l st So D N a.
  assert (K : same (memory r) st (exec st l)).
  { apply T2; try assumption. intros e I W. destruct (as_stated _ _ _ H _ W) as [E | []]. apply (N e I). congruence. }
  symmetry. apply K.
Qed.

Theorem model_slots_are_audits : forall l st, sound with_disk st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "model_slots") a = mem st (Shared "model_slots") a.
Proof. apply audits_alone. now_computed. Qed.

Theorem staging_is_audits : forall l st, sound with_disk st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "staging") a = mem st (Shared "staging") a.
Proof. apply audits_alone. now_computed. Qed.

Theorem audit_log_is_audits : forall l st, sound with_disk st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> audit) ->
  forall a, mem (exec st l) (Shared "audit_log") a = mem st (Shared "audit_log") a.
Proof. apply audits_alone. now_computed. Qed.

(** The store is in every execution as it was filled. *)
Theorem model_store_is_constant : forall contents initial l, let booted := booted_with with_disk contents initial in
  Forall (disciplined G) l ->
  forall a, mem (exec booted l) (Shared "model_store") a = contents (Shared "model_store") a.
Proof.
  intros contents initial l booted D a.
  assert (H : wrong writers [(memory "model_store", [])] = []) by now_computed.
  assert (K : same (memory "model_store") booted (exec booted l)).
  { apply T2; [apply booted_with_is_sound | assumption |]. intros e _ I. exact (as_stated _ _ _ H _ I). }
  symmetry. apply K.
Qed.

(** ** T3: mediation *)

Definition cut : list subject := [audit; Monitor].

(** On the graph: audit and the monitor cut inference from the disk's side and from each client, in both directions; *)
Theorem T3_from_inference : filter (fun v => negb (separates with_disk cut inference v)) (storage ++ client_subjects) = [].
Proof. now_computed. Qed.

Theorem T3_to_inference : filter (fun u => negb (separates with_disk cut u inference)) (storage ++ client_subjects) = [].
Proof. now_computed. Qed.

(** and, if the monitor is first at its endpoint, the disk's side from each client, and clients from one another. *)
Theorem T3_storage_and_clients : filter (fun '(u, v) => negb (separates monitored cut u v))
  (list_prod storage client_subjects ++ list_prod client_subjects storage ++ pairs_of subject_eq client_subjects) = [].
Proof. now_computed. Qed.

(** Who is behind audit: inference alone on one side; on another, the disk's side and nobody else. *)
Theorem T3_behind_audit : wrong (fun p => match p with PThread s => reach monitored cut s | _ => [] end)
  [(PThread inference, [inference]); (PThread files, storage); (PThread disk, storage)] = [].
Proof. now_computed. Qed.

(** In terms of paths: from inference to the disk's side by way of audit, *)
Theorem inference_reaches_the_disk_only_through_audit : forall v, In v storage ->
  forall p, path with_disk inference p v -> ~ In Monitor p -> In audit p.
Proof.
  intros v V p P N.
  pose proof (none_left _ (separates with_disk cut inference) _ T3_from_inference v (in_or_app _ _ _ (or_introl V))) as Se.
  destruct (every_path_passes with_disk closed attached_known _ _ _ Se p P) as (c & [<- | [<- | []]] & I);
    [exact I | contradiction].
Qed.

(** and from the disk's side to inference: no byte of a disk comes there but by way of audit. *)
Theorem the_disk_reaches_inference_only_through_audit : forall u, In u storage ->
  forall p, path with_disk u p inference -> ~ In Monitor p -> In audit p.
Proof.
  intros u U p P N.
  pose proof (none_left _ (fun u => separates with_disk cut u inference) _ T3_to_inference u
    (in_or_app _ _ _ (or_introl U))) as Se.
  destruct (every_path_passes with_disk closed attached_known _ _ _ Se p P) as (c & [<- | [<- | []]] & I);
    [exact I | contradiction].
Qed.

(** What leaves audit for the device passes files, and then disk, if the monitor is first at its endpoint: audit, files and
    disk hold the same one. *)
Theorem T3_audit_to_device : separates monitored [files; Monitor] audit device = true.
Proof. now_computed. Qed.

Theorem T3_files_to_device : separates monitored [disk; Monitor] files device = true.
Proof. now_computed. Qed.

Theorem T3_from_inference_monitored : separates monitored cut inference device = true.
Proof. now_computed. Qed.

Theorem inference_reaches_the_device_in_order : forall p, path monitored inference p device -> ~ In Monitor p ->
  In audit p /\
  (forall p1 p2, p = p1 ++ audit :: p2 -> In files p2) /\
  (forall p1 p2, p = p1 ++ files :: p2 -> In disk p2).
Proof.
  intros p P N. split; [| split].
  - destruct (every_path_passes monitored monitored_closed monitored_attached _ _ _ T3_from_inference_monitored p P)
      as (c & [<- | [<- | []]] & I); [exact I | contradiction].
  - intros p1 p2 E. apply (later_passes monitored monitored_closed monitored_attached audit files [Monitor] device
      T3_audit_to_device) with (p1 := p1) (from := inference) (p := p); try assumption; [discriminate |].
    intros c [<- | []]. exact N.
  - intros p1 p2 E. apply (later_passes monitored monitored_closed monitored_attached files disk [Monitor] device
      T3_files_to_device) with (p1 := p1) (from := inference) (p := p); try assumption; [discriminate |].
    intros c [<- | []]. exact N.
Qed.

(** In terms of executions. Take any execution in which neither audit nor the monitor takes a step that reads what is
    tainted by inference. Leave out inference's steps, and change at will what is tainted: files, disk and the device
    see the same, to the bit. *)
Theorem T3 : forall v, In v storage -> forall l taint st st',
  sound with_disk st -> sound with_disk st' -> Forall (disciplined G) l ->
  let behind := reach with_disk cut inference in
  hidden with_disk cut behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by with_disk cut behind taint st l ->
  agree with_disk v (exec st l) (exec st' (without behind l)).
Proof.
  intros v V l taint st st' So So' D behind Hi E U.
  pose proof (none_left _ (separates with_disk cut inference) _ T3_from_inference v (in_or_app _ _ _ (or_introl V))) as Se.
  refine (proj2 (separated_by_reading with_disk source closed attached_known cut inference v Se _ l taint st st'
    So So' D Hi E U)).
  destruct V as [<- | [<- | [<- | []]]]; intros [X | [X | []]]; discriminate X.
Qed.

(** The other way round: what the disk holds, and whatever files, disk and the device do, makes no difference to inference
    until audit or the monitor takes a step that reads it. *)
Theorem T3_reverse : forall l taint st st',
  sound with_disk st -> sound with_disk st' -> Forall (disciplined G) l ->
  let behind := reach with_disk cut files in
  hidden with_disk cut behind taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by with_disk cut behind taint st l ->
  agree with_disk inference (exec st l) (exec st' (without behind l)).
Proof.
  intros l taint st st' So So' D behind Hi E U.
  pose proof (none_left _ (fun u => separates with_disk cut u inference) _ T3_to_inference files
    (or_introl eq_refl)) as Se.
  refine (proj2 (separated_by_reading with_disk source closed attached_known cut files inference Se _ l taint st st'
    So So' D Hi E U)).
  intros [X | [X | []]]; discriminate X.
Qed.

(** What only inference holds, and what only the disk's side holds, is tainted in this sense: *)
Definition secrets_of_inference : list part :=
  [PThread inference; PMemory (Private inference); memory "arena"; memory "inference_to_audit"].

Theorem T3_secrets_are_hidden : are_hidden with_disk cut (reach with_disk cut inference) secrets_of_inference = true.
Proof. now_computed. Qed.

Definition contents_of_the_disk : list part :=
  [PThread files; PThread disk; PThread device; PMemory (Private files); PMemory (Private disk); memory "virtio";
   memory "dma"; memory "disk_to_files"; memory "files_to_disk"; memory "files_to_audit"].

Theorem T3_contents_are_hidden : are_hidden with_disk cut (reach with_disk cut files) contents_of_the_disk = true.
Proof. now_computed. Qed.

(** so that two systems which boot with other weights, activations or conversations in inference write the same to the disk
    until audit or the monitor reads what inference made of them; *)
Corollary T3_secrets : forall v, In v storage -> forall l st st',
  sound with_disk st -> sound with_disk st' -> Forall (disciplined G) l ->
  let behind := reach with_disk cut inference in
  (forall p, ~ In p secrets_of_inference -> same p st st') ->
  unread_by with_disk cut behind (fun p => In p secrets_of_inference) st l ->
  agree with_disk v (exec st l) (exec st' (without behind l)).
Proof.
  intros v V l st st' So So' D behind. apply T3; try assumption.
  exact (hidden_parts with_disk attached_known _ _ _ T3_secrets_are_hidden).
Qed.

(** and with other disks, look the same to inference until audit or the monitor reads what files says. *)
Corollary T3_contents : forall l st st',
  sound with_disk st -> sound with_disk st' -> Forall (disciplined G) l ->
  let behind := reach with_disk cut files in
  (forall p, ~ In p contents_of_the_disk -> same p st st') ->
  unread_by with_disk cut behind (fun p => In p contents_of_the_disk) st l ->
  agree with_disk inference (exec st l) (exec st' (without behind l)).
Proof.
  intros l st st' So So' D behind. apply T3_reverse; try assumption.
  exact (hidden_parts with_disk attached_known _ _ _ T3_contents_are_hidden).
Qed.

(** ** The assumption is needed

    If disk told its device of any one region more, which it does not have, a claim would fail: the list is of those where
    none does, and nobody writes or reads them but who has them. Of the regions of the disk's own side there is nothing to
    lose. *)
Definition told_of (r : string) : system := mastering (("virtio", r) :: bus) (microkit d qemu_virt).

Definition is_changed_by_the_device (r : string) : bool :=
  existsb (fun s => if subject_eq s device then true else false) (writers_in (told_of r) (memory r)).

Definition ordinary : list string :=
  flat_map (fun r => match region_phys r with None => [region_name r] | Some _ => [] end) (regions d).

Theorem the_assumption_is_needed : filter (fun r => negb (is_changed_by_the_device r)) ordinary = [].
Proof. now_computed. Qed.

(** What was verified could be changed, and inference would reach the disk past audit. *)
Theorem without_it_slots_are_anybodys :
  wrong (writers_in (told_of "model_slots")) [(memory "model_slots", [audit; device])] = [].
Proof. now_computed. Qed.

Theorem without_it_inference_reaches_the_disk : separates (told_of "arena") cut inference disk = false.
Proof. now_computed. Qed.

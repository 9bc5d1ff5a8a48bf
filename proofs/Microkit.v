(** * What Microkit makes of a description

    Responsible for: the capability distribution that the Microkit tool 2.3.0 computes from a system
    description, slot by slot (its source: tool/microkit/src/capdl/builder.rs; the slot numbers are
    also libmicrokit's, include/microkit.h), for the release configuration on AArch64; the hardware
    around it; the state in which it boots. Nothing here is assumed harmless: whatever Microkit adds
    (the fault endpoints with all rights, the read right on channels' notifications, the own VSpace,
    the monitor with every TCB) is here as it is, and the theorems' checks look at it. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph.
Import ListNotations.
Local Open Scope N_scope.

(** Which device raises which interrupt: the board's wiring, by the device's region. *)
Definition wiring := list (string * N).

Section Microkit.

Variable d : description.
Variable board : wiring.

Definition same_name (a b : string) : bool := if string_dec a b then true else false.

(** ** Slots and badges *)

Definition input_slot : N := 1.
Definition fault_slot : N := 2.
Definition vspace_slot : N := 3.
Definition reply_slot : N := 4.
Definition notification_slots : N := 10.
Definition endpoint_slots : N := 74.
Definition irq_slots : N := 138.
Definition tcb_slots : N := 202.

Definition fault_badge : N := 2 ^ 62.
Definition call_badge : N := 2 ^ 63.

(** Root CNodes have 64 slots, no guard; Microkit's CNode, in slot 0, has 512, and its guard takes the
    rest of the 64 bits. The monitor has one CNode. *)
Definition root_of (s : subject) : capability := CCNode (Root s) 0 0 6.
Definition inner_of (s : subject) : capability := CCNode (Inner s) 49 0 9.
Definition monitor_root : capability := CCNode (Root Monitor) 55 0 9.

Definition all : rights := {| may_read := true; may_write := true; may_grant := true |}.
Definition read_write : rights := {| may_read := true; may_write := true; may_grant := false |}.

(** ** Capabilities of a protection domain *)

(** Domains are numbered in the order of the description. *)
Fixpoint numbered {A} (n : N) (l : list A) : list (N * A) :=
  match l with [] => [] | x :: l => (n, x) :: numbered (n + 1) l end.

Definition domain_numbers : list (N * protection_domain) := numbered 0 (domains d).

Definition is_child_of (p : protection_domain) (c : protection_domain) : bool :=
  match pd_parent c with Some (n, _) => same_name n (pd_name p) | None => false end.

(** Each end of each channel, with the other. *)
Definition ends : list (channel_end * channel_end) :=
  flat_map (fun c => [(end_a c, end_b c); (end_b c, end_a c)]) (channels d).

(** Its input is an endpoint if it has children or is called, else its notification. *)
Definition has_endpoint (p : protection_domain) : bool :=
  existsb (is_child_of p) (domains d)
  || existsb (fun '(a, b) => end_pp a && same_name (end_pd b) (pd_name p)) ends.

Definition input_cap (p : protection_domain) : capability :=
  if has_endpoint p then CEndpoint (Pd (pd_name p)) 0 all else CNotification (Pd (pd_name p)) 0 read_write.

Definition fault_cap (k : N) (p : protection_domain) : capability :=
  match pd_parent p with
  | Some (parent, id) => CEndpoint (Pd parent) (N.lor fault_badge id) all
  | None => CEndpoint Monitor (k + 1) all
  end.

Definition channel_caps (p : protection_domain) : list (N * capability) :=
  flat_map (fun '(a, b) =>
    if same_name (end_pd a) (pd_name p) then
      (if end_notify a
       then [(notification_slots + end_id a, CNotification (Pd (end_pd b)) (2 ^ end_id b) read_write)] else [])
      ++ (if end_pp a
          then [(endpoint_slots + end_id a, CEndpoint (Pd (end_pd b)) (N.lor call_badge (end_id b)) all)] else [])
    else []) ends.

Definition irq_caps (p : protection_domain) : list (N * capability) :=
  map (fun i => (irq_slots + irq_id i, CIrqHandler (irq_number i))) (pd_irqs p).

Definition child_caps (p : protection_domain) : list (N * capability) :=
  flat_map (fun c => match pd_parent c with
                     | Some (n, id) => if same_name n (pd_name p) then [(tcb_slots + id, CTcb (Pd (pd_name c)))] else []
                     | None => []
                     end) (domains d).

Definition extras_in (id : cnode) : list (N * capability) :=
  flat_map (fun x => if cnode_eq (extra_cnode x) id then [(extra_slot x, extra_cap x)] else []) (extras d).

Definition domain_cnodes (k : N) (p : protection_domain) : list (cnode * list (N * capability)) :=
  let s := Pd (pd_name p) in
  [ (Root s, (0, inner_of s) :: extras_in (Root s));
    (Inner s,
     [ (input_slot, input_cap p); (fault_slot, fault_cap k p); (vspace_slot, CVSpace s); (reply_slot, CReply s) ]
     ++ channel_caps p ++ irq_caps p ++ child_caps p ++ extras_in (Inner s)) ].

(** ** The monitor *)

Definition monitor_cnode : cnode * list (N * capability) :=
  (Root Monitor,
   [ (1, CEndpoint Monitor 0 all); (2, CReply Monitor) ]
   ++ map (fun '(k, p) => (10 + k, CTcb (Pd (pd_name p)))) domain_numbers
   ++ extras_in (Root Monitor)).

(** ** Address spaces *)

(** The kernel has no write-only mappings; what can be executed can be read by executing it; and reading
    a device's registers may change the device, so who maps a device writes it. *)
Definition is_device (r : string) : bool :=
  existsb (fun x => same_name r (region_name x) && match region_phys x with Some _ => true | None => false end)
    (regions d).

Definition map_rights (m : mapping) : rights := {|
  may_read := map_read m || map_write m || map_execute m;
  may_write := map_write m || is_device (map_region m);
  may_grant := false;
|}.

Definition domain_space (p : protection_domain) : list (region * rights) :=
  (Private (Pd (pd_name p)), read_write)
  :: map (fun m => (Shared (map_region m), map_rights m)) (pd_maps p).

(** ** The hardware

    A device is a subject: it reads and writes its own registers as it likes and raises the interrupts
    that are wired to it. (It reaches no other memory: it is no bus master.) An interrupt that is wired
    to no device region is a subject of its own. *)
Definition devices : list string :=
  flat_map (fun r => match region_phys r with Some _ => [region_name r] | None => [] end) (regions d).

Definition all_irqs : list N := flat_map (fun p => map irq_number (pd_irqs p)) (domains d).

Definition wired (r : string) : list N :=
  flat_map (fun '(r', i) => if same_name r r' then [i] else []) board.

Definition unwired : list N :=
  filter (fun i => negb (existsb (fun r => existsb (N.eqb i) (wired r)) devices)) all_irqs.

(** ** The system *)

Definition domain_binding (p : protection_domain) : subject * binding :=
  let s := Pd (pd_name p) in
  (s, {| cspace_root := Some (root_of s); vspace_root := Some s; raises := [] |}).

(** [first]: the endpoints whose owner is taken to be first to receive there ([owner_first]). *)
Definition distribution_with (first : list subject) : config := {|
  cnodes := flat_map (fun '(k, p) => domain_cnodes k p) domain_numbers ++ [monitor_cnode];
  vspaces := map (fun p => (Pd (pd_name p), domain_space p)) (domains d)
    ++ [(Monitor, [(Private Monitor, read_write)])]
    ++ map (fun r => (Device r, [(Shared r, read_write)])) devices;
  threads := map domain_binding (domains d)
    ++ [(Monitor, {| cspace_root := Some monitor_root; vspace_root := Some Monitor; raises := [] |})]
    ++ map (fun r => (Device r, {| cspace_root := None; vspace_root := Some (Device r); raises := wired r |})) devices
    ++ map (fun i => (Line i, {| cspace_root := None; vspace_root := None; raises := [i] |})) unwired;
  owner_first := first;
|}.

Definition distribution : config := distribution_with [].

Definition microkit_with (first : list subject) : system := {|
  capabilities := distribution_with first;
  attachments := map (fun '(k, p) => (Pd (pd_name p),
      {| fault_handler := Some (fault_cap k p); bound_notification := Some (Pd (pd_name p)) |})) domain_numbers;
  initial_irqs := flat_map (fun p =>
      map (fun i => (irq_number i, (Pd (pd_name p), 2 ^ irq_id i))) (pd_irqs p)) (domains d);
|}.

(** What no assumption about the schedule is made of; *)
Definition microkit : system := microkit_with [].

(** and the same where Microkit's monitor is first at its endpoint: it has a priority above all domains,
    on one core, and waits there whenever it has nothing to do. *)
Definition attended : system := microkit_with [Monitor].

(** ** Boot

    With any contents of memory and registers (prefills are contents), nothing pending, everyone
    running. *)
Definition boot_with (first : list subject) (memory : region -> N -> N) (initial : subject -> list N) : state := {|
  cfg := capabilities (microkit_with first);
  attached := attachments (microkit_with first);
  thr := fun s => {| registers := initial s; run := Running |};
  mem := memory;
  pending := fun _ => 0;
  queue := fun _ => [];
  awaits := fun _ => None;
  irqs := fun i => {| signals := find_key N.eq_dec i (initial_irqs (microkit_with first)); masked := false |};
|}.

Definition boot := boot_with [].

Theorem boot_sound : forall first memory initial, sound (microkit_with first) (boot_with first memory initial).
Proof.
  intros first memory initial. constructor; simpl; try reflexivity; try discriminate; try contradiction.
  intros i n b H. apply find_key_in in H. unfold may_signal. apply in_or_app. left.
  apply in_flat_map. exists (i, (n, b)). split; [exact H |]. rewrite N.eqb_refl. left. reflexivity.
Qed.

(** ** Checks of the description itself *)

Fixpoint distinct {A} (eq : forall a b : A, {a = b} + {a <> b}) (l : list A) : bool :=
  match l with
  | [] => true
  | x :: l => negb (existsb (fun y => if eq x y then true else false) l) && distinct eq l
  end.

Definition pair_eq : forall a b : cnode * N, {a = b} + {a <> b}.
Proof. decide equality; [apply N.eq_dec | apply cnode_eq]. Defined.

(** Names, interrupts and capability slots are each used once. *)
Definition names_are_distinct : bool :=
  distinct string_dec (map pd_name (domains d))
  && distinct string_dec (map region_name (regions d))
  && distinct N.eq_dec all_irqs
  && distinct pair_eq (flat_map (fun '(id, l) => map (fun '(i, _) => (id, i)) l) (cnodes distribution)).

(** Whatever is referred to exists; a parent comes before its child. *)
Fixpoint parents_precede (seen : list string) (l : list protection_domain) : bool :=
  match l with
  | [] => true
  | p :: l =>
      match pd_parent p with Some (n, _) => existsb (same_name n) seen | None => true end
      && parents_precede (pd_name p :: seen) l
  end.

Definition references_resolve : bool :=
  forallb (fun p => forallb (fun m => existsb (same_name (map_region m)) (map region_name (regions d))) (pd_maps p))
    (domains d)
  && forallb (fun '(a, _) => existsb (same_name (end_pd a)) (map pd_name (domains d))) ends
  && parents_precede [] (domains d).

(** Regions with physical addresses do not overlap: no two names for one register. (Ordinary memory
    gets its addresses from the tool and the initialiser, which are trusted to keep regions apart.) *)
Definition overlap (a b : N * N) : bool := (fst a <? fst b + snd b) && (fst b <? fst a + snd a).

Fixpoint disjoint (l : list (N * N)) : bool :=
  match l with [] => true | x :: l => negb (existsb (overlap x) l) && disjoint l end.

Definition devices_are_disjoint : bool :=
  disjoint (flat_map (fun r => match region_phys r with Some a => [(a, region_size r)] | None => [] end) (regions d)).

Definition description_is_sane : bool := names_are_distinct && references_resolve && devices_are_disjoint.

End Microkit.

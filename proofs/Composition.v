(** * Adding and removing a client

    Responsible for: that a client whose own lines are in order ([objections] finds nothing) can be added
    to a description that is [mediated], and that any compartment can be removed from one: what comes
    out is [mediated] again, and so all theorems of [Compartments.v] hold of it. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Microkit Clients.
Import ListNotations.
Local Open Scope N_scope.
Local Open Scope list_scope.

Lemma NoDup_app_one : forall A (l : list A) x, NoDup l -> ~ In x l -> NoDup (l ++ [x]).
Proof.
  induction l as [| y l IH]; simpl; intros x N I; [constructor; [intros [] | constructor] |].
  inversion N as [| ? ? N1 N2]; subst. constructor; [| apply IH; tauto].
  intros H. apply in_app_or in H. destruct H as [H | [H | []]]; [contradiction |]. apply I. auto.
Qed.

Lemma disjoint_app : forall a b,
  disjoint (a ++ b) = disjoint a && forallb (fun x => negb (existsb (overlap x) b)) a && disjoint b.
Proof.
  induction a as [| x a IH]; intros b; [reflexivity |]. cbn [app disjoint forallb].
  rewrite IH, existsb_app, negb_orb. destruct (existsb (overlap x) a), (existsb (overlap x) b), (disjoint a),
    (disjoint b);
    cbn [negb andb]; rewrite ?andb_false_r, ?andb_true_r; reflexivity.
Qed.

Lemma disjoint_filter : forall (g : memory_region -> bool) l,
  disjoint (flat_map extent l) = true -> disjoint (flat_map extent (filter g l)) = true.
Proof.
  induction l as [| r l IH]; intros H; [reflexivity |]. cbn [flat_map filter] in *. rewrite disjoint_app in H. bools.
  destruct (g r); [| auto]. cbn [flat_map]. rewrite disjoint_app, IH by assumption. rewrite andb_true_r.
    apply andb_true_iff.
  split; [assumption |]. apply forallb_forall. intros x X.
  match goal with H : forallb _ (extent r) = true |- _ => rewrite forallb_forall in H; specialize (H x X) end. bools.
  apply negb_true_iff, not_true_iff_false. intros E. apply existsb_exists in E. destruct E as (y & Y & E).
  match goal with H : existsb _ (flat_map extent l) = false |- _ => apply not_true_iff_false in H; apply H end.
  apply existsb_exists. exists y. split; [| assumption]. apply in_flat_map in Y. destruct Y as (z & Z & Y).
  apply filter_In in Z. apply in_flat_map. exists z. tauto.
Qed.

(** Writes, by the letters in [perms]. *)
Definition says_write (p : protection_domain) (r : string) : bool :=
  existsb (fun m => same_name r (map_region m) && map_write m) (pd_maps p).

Lemma device_in : forall e r, is_device e r = true <-> In r (devices e).
Proof.
  intros e r. unfold is_device, devices. rewrite existsb_exists, in_flat_map.
    split; intros (x & X & H); exists x; split; auto.
  - apply andb_true_iff in H. destruct H as [N H]. apply same_name_eq in N.
    destruct (region_phys x); [left; auto | discriminate].
  - destruct (region_phys x); [| destruct H]. destruct H as [<- | []]. apply andb_true_iff.
    split; [apply same_name_eq |]; reflexivity.
Qed.

(** Where a region is ordinary memory, that is all. *)
Lemma writes_ordinary : forall e q r, is_device e r = false -> can_write e q r = says_write q r.
Proof.
  intros e q r N. unfold can_write, says_write. induction (pd_maps q) as [| m l IH]; [reflexivity |]. cbn [existsb].
    rewrite IH. f_equal.
  destruct (same_name r (map_region m)) eqn:E; [| reflexivity]. apply same_name_eq in E. subst r. simpl.
  rewrite N, orb_false_r. reflexivity.
Qed.

(** ** A new client's lines *)

Record newcomer := {
  new_domain : protection_domain;
  new_regions : list memory_region;  (* its own, beside its rings *)
  ring_size : N;                     (* of each of its rings *)
  number_at_mediator : N;            (* of its channel, for audit *)
  own_number : N;                    (* of its channel, for itself *)
}.

Section Newcomer.

Variable k : newcomer.

Let name : string := pd_name (new_domain k).
Let out : string := out_ring name.
Let in_ : string := in_ring name.

Definition plain (r : string) : memory_region :=
  {| region_name := r; region_size := ring_size k; region_phys := None; region_prefilled := false |}.

Definition map_of (r : string) (write : bool) : mapping :=
  {| map_region := r; map_read := true; map_write := write; map_execute := false |}.

(** Audit's lines for it: it reads the one ring and writes the other. *)
Definition welcomes (q : protection_domain) : protection_domain :=
  if is_named mediator q then
    {| pd_name := pd_name q; pd_parent := pd_parent q; pd_priority := pd_priority q; pd_budget := pd_budget q;
       pd_period := pd_period q; pd_cpu := pd_cpu q; pd_maps := map_of out false :: map_of in_ true :: pd_maps q; pd_irqs := pd_irqs q |}
  else q.

Definition mediators_end : channel_end :=
  {| end_pd := mediator; end_id := number_at_mediator k; end_notify := true; end_pp := false |}.

Definition own_end : channel_end :=
  {| end_pd := name; end_id := own_number k; end_notify := true; end_pp := false |}.

Definition added (d : description) : description := {|
  regions := plain out :: plain in_ :: new_regions k ++ regions d;
  domains := map welcomes (domains d) ++ [new_domain k];
  channels := {| end_a := mediators_end; end_b := own_end |} :: channels d;
  extras := extras d;
|}.

(** ** What is asked of them *)

Definition new_names : list string := out :: in_ :: map region_name (new_regions k).

Definition new_devices : list string :=
  flat_map (fun r => match region_phys r with Some _ => [region_name r] | None => [] end) (new_regions k).

Definition objections_list (d : description) (board : wiring) : list (string * bool) :=
  let c := new_domain k in
  [ ("name is taken or not a client's"%string,
     negb (same_name name mediator) && negb (same_name name server)
     && forallb (fun q => negb (same_name (pd_name q) name)) (domains d));
    ("parent"%string, match pd_parent c with None => true | Some _ => false end);
    ("two regions of one name"%string, distinct string_dec new_names);
    ("region's name is taken"%string,
     forallb (fun r => forallb (fun x => negb (same_name r (region_name x))) (regions d)
                       && forallb (fun q => negb (has_map q r)) (domains d)) new_names);
    ("device's address is taken"%string,
     disjoint (flat_map extent (new_regions k))
     && forallb (fun x => negb (existsb (overlap x) (flat_map extent (regions d))))
          (flat_map extent (new_regions k)));
    ("maps a region that is not its own"%string,
     forallb (fun m => existsb (same_name (map_region m)) new_names) (pd_maps c));
    ("does not map its region"%string, forallb (has_map c) new_names);
    ("rings' rights"%string, says_write c out && negb (says_write c in_));
    ("interrupt is taken"%string,
     forallb (fun x => forallb (fun q => negb (has_irq q (irq_number x))) (domains d)
                       && forallb (fun r => negb (is_wired board r (irq_number x))) (devices d)) (pd_irqs c));
    ("device's interrupt is taken"%string,
     forallb (fun r => forallb (fun i => forallb (fun q => negb (has_irq q i)) (domains d)
                                         && forallb (fun r' => negb (is_wired board r' i)) (devices d))
                         (wired board r)) new_devices);
    ("channel's number is taken"%string,
     forallb (fun n => negb (n =? number_at_mediator k)) (mediators_numbers d)) ].

(** What is not as it must be. *)
Definition objections (d : description) (board : wiring) : list string := failing (objections_list d board).

(** *** The same as propositions *)

Record welcome (d : description) (board : wiring) : Prop := {
  new_name : name <> mediator /\ name <> server;
  fresh_name : forall q, In q (domains d) -> pd_name q <> name;
  new_parent : pd_parent (new_domain k) = None;
  names_distinct : NoDup new_names;
  fresh_regions : forall r x, In r new_names -> In x (regions d) -> region_name x <> r;
  unmapped : forall r q, In r new_names -> In q (domains d) -> has_map q r = false;
  new_addresses : disjoint (flat_map extent (new_regions k)) = true /\
    forall x, In x (flat_map extent (new_regions k)) -> existsb (overlap x) (flat_map extent (regions d)) = false;
  own_maps : forall r, has_map (new_domain k) r = true -> In r new_names;
  all_mapped : forall r, In r new_names -> has_map (new_domain k) r = true;
  writes_out : says_write (new_domain k) out = true;
  writes_not_in : says_write (new_domain k) in_ = false;
  fresh_irqs : forall i, has_irq (new_domain k) i = true ->
    (forall q, In q (domains d) -> has_irq q i = false) /\
    (forall r, In r (devices d) -> is_wired board r i = false);
  fresh_lines : forall r i, In r new_devices -> is_wired board r i = true ->
    (forall q, In q (domains d) -> has_irq q i = false) /\
    (forall r', In r' (devices d) -> is_wired board r' i = false);
  fresh_number : ~ In (number_at_mediator k) (mediators_numbers d);
}.

Lemma no_objections : forall d board, objections d board = [] -> welcome d board.
Proof.
  intros d board H. apply failing_none in H. unfold objections_list in H.
  repeat match goal with H : Forall _ (_ :: _) |- _ => apply Forall_cons_iff in H; destruct H as [? H] end. clear H.
  cbn [snd] in *. bools.
  repeat match goal with H : forallb _ _ = true |- _ => rewrite forallb_forall in H end.
  constructor; auto.
  - intros q Q. match goal with H : forall x, In x (domains d) -> negb (same_name _ name) = true |- _ =>
      specialize (H q Q) end. bools. assumption.
  - destruct (pd_parent (new_domain k)); [discriminate | reflexivity].
  - eapply distinct_nodup. eassumption.
  - intros r x R X E. match goal with H : forall x, In x new_names -> _ && _ = true |- _ => specialize (H r R) end.
    bools.
    match goal with H : forallb _ (regions d) = true |- _ => rewrite forallb_forall in H; specialize (H x X) end.
      bools. congruence.
  - intros r q R Q. match goal with H : forall x, In x new_names -> _ && _ = true |- _ => specialize (H r R) end.
    bools.
    match goal with H : forallb _ (domains d) = true |- _ => rewrite forallb_forall in H; specialize (H q Q) end.
      bools. assumption.
  - split; [assumption |]. intros x X.
    match goal with H : forall x, In x (flat_map extent (new_regions k)) -> _ |- _ => specialize (H x X) end. bools.
      assumption.
  - intros r M. apply in_map_of in M. destruct M as (m & M & <-).
    match goal with H : forall x, In x (pd_maps _) -> _ |- _ => specialize (H m M); apply existsb_exists in H;
      destruct H as (y & Y & E) end. bools. congruence.
  - intros i I. apply in_irq_of in I. destruct I as (x & X & <-).
    match goal with H : forall x, In x (pd_irqs _) -> _ |- _ => specialize (H x X) end. bools.
    repeat match goal with H : forallb _ _ = true |- _ => rewrite forallb_forall in H end.
    split; intros y Y; match goal with H : forall x, In x _ -> _ |- _ => specialize (H y Y) end; bools; assumption.
  - intros r i R W. match goal with H : forall x, In x new_devices -> _ |- _ => specialize (H r R);
    rewrite forallb_forall in H;
      specialize (H i (proj1 (in_wired _ _ _) W)) end. bools.
    repeat match goal with H : forallb _ _ = true |- _ => rewrite forallb_forall in H end.
    split; intros y Y; match goal with H : forall x, In x _ -> _ |- _ => specialize (H y Y) end; bools; assumption.
  - intros I. match goal with H : forall x, In x (mediators_numbers d) -> _ |- _ => specialize (H _ I) end. bools.
    rewrite N.eqb_refl in *. discriminate.
Qed.

(** ** Adding it *)

Section Added.

Variable d : description.
Variable board : wiring.
Hypothesis Mediated : mediated d board.
Hypothesis Welcome : welcome d board.

Let d' := added d.
Let c := new_domain k.

Lemma in_domains : forall q, In q (domains d') <-> q = c \/ exists q0, In q0 (domains d) /\ q = welcomes q0.
Proof.
  intros q. unfold d', added. simpl. rewrite in_app_iff, in_map_iff. simpl. split.
  - intros [(q0 & <- & Q) | [<- | []]]; eauto.
  - intros [-> | (q0 & Q & ->)]; [auto |]. left. exists q0. auto.
Qed.

Lemma welcomes_name : forall q, pd_name (welcomes q) = pd_name q.
Proof. intros q. unfold welcomes. destruct (is_named mediator q); reflexivity. Qed.

Lemma welcomes_parent : forall q, pd_parent (welcomes q) = pd_parent q.
Proof. intros q. unfold welcomes. destruct (is_named mediator q); reflexivity. Qed.

Lemma welcomes_irq : forall q i, has_irq (welcomes q) i = has_irq q i.
Proof. intros q i. unfold welcomes. destruct (is_named mediator q); reflexivity. Qed.

Lemma welcomes_other : forall q, pd_name q <> mediator -> welcomes q = q.
Proof. intros q N. unfold welcomes. apply is_named_neq in N. rewrite N. reflexivity. Qed.

Lemma welcomes_map : forall q r, has_map q r = true -> has_map (welcomes q) r = true.
Proof.
  intros q r H. unfold welcomes. destruct (is_named mediator q); [| assumption].
  unfold has_map in *. simpl. rewrite H, !orb_true_r. reflexivity.
Qed.

Lemma welcomes_no_more : forall q r, r <> out -> r <> in_ -> has_map (welcomes q) r = has_map q r.
Proof.
  intros q r O I. unfold welcomes. destruct (is_named mediator q); [| reflexivity].
  unfold has_map. simpl. apply same_name_neq in O, I. rewrite O, I. reflexivity.
Qed.

Lemma rings_are_new : In out new_names /\ In in_ new_names /\ out <> in_.
Proof.
  pose proof (names_distinct _ _ Welcome) as N. unfold new_names in *. inversion N as [| ? ? N1 _].
  split; [left; reflexivity |]. split; [right; left; reflexivity |]. intros E. apply N1. left. symmetry. exact E.
Qed.

Lemma in_new_devices : forall r, In r new_devices -> In r (map region_name (new_regions k)).
Proof.
  intros r H. apply in_flat_map in H. destruct H as (x & X & H). apply in_map_iff. exists x.
  destruct (region_phys x); [| destruct H]. destruct H as [<- | []]. auto.
Qed.

Lemma in_devices : forall r, In r (devices d') <-> In r new_devices \/ In r (devices d).
Proof.
  intros r. unfold d', added, devices. simpl. rewrite flat_map_app, in_app_iff. reflexivity.
Qed.

Lemma known_region : forall r, In r (devices d) -> exists x, In x (regions d) /\ region_name x = r.
Proof.
  intros r H. apply in_flat_map in H. destruct H as (x & X & H). exists x. split; [assumption |].
  destruct (region_phys x); [| destruct H]. destruct H as [<- | []]. reflexivity.
Qed.

Lemma not_new : forall r, In r (devices d) -> ~ In r new_names.
Proof.
  intros r H I. apply known_region in H. destruct H as (x & X & E). exact (fresh_regions _ _ Welcome r x I X E).
Qed.

Lemma device_old : forall r, ~ In r new_names -> is_device d' r = is_device d r.
Proof.
  intros r N. apply eq_true_iff_eq. rewrite !device_in, in_devices. split; [| auto].
  intros [H | H]; [| assumption]. elim N. right. right. apply in_new_devices. exact H.
Qed.

Lemma rings_are_plain : is_device d' out = false /\ is_device d' in_ = false.
Proof.
  pose proof (names_distinct _ _ Welcome) as N. unfold new_names in N. inversion N as [| ? ? N1 N2].
    inversion N2 as [| ? ? N3 _]. subst.
  destruct rings_are_new as (O & I & _).
  split; apply not_true_iff_false; rewrite device_in, in_devices; intros [H | H];
    try (apply not_new in H; contradiction); apply in_new_devices in H; [apply N1; right |]; auto.
Qed.

(** Where a region is not a new one, old domains write it as before. *)
Lemma writes_old : forall q r, ~ In r new_names -> can_write d' q r = can_write d q r.
Proof.
  intros q r N. unfold can_write. induction (pd_maps q) as [| m l IH]; [reflexivity |]. cbn [existsb]. rewrite IH.
    f_equal.
  destruct (same_name r (map_region m)) eqn:E; [| reflexivity]. apply same_name_eq in E. subst r. simpl.
  rewrite device_old by assumption. reflexivity.
Qed.

Lemma writes_welcome : forall q r, ~ In r new_names -> can_write d' (welcomes q) r = can_write d q r.
Proof.
  intros q r N. rewrite <- (writes_old q r N). unfold welcomes. destruct (is_named mediator q); [| reflexivity].
  destruct rings_are_new as (O & I & _). assert (r <> out /\ r <> in_) as [NO NI] by (split; congruence).
  unfold can_write. simpl. apply same_name_neq in NO, NI. rewrite NO, NI. reflexivity.
Qed.

Lemma old_map : forall p r, In p (domains d) -> has_map p r = true -> ~ In r new_names.
Proof. intros p r P M I. rewrite (unmapped _ _ Welcome r p I P) in M. discriminate. Qed.

Lemma new_ends : ends d' = (mediators_end, own_end) :: (own_end, mediators_end) :: ends d.
Proof. reflexivity. Qed.

Lemma devices_of_old : forall p r, In p (domains d) -> In r (devices_of d' board p) <-> In r (devices_of d board p).
Proof.
  intros p r P. rewrite !in_devices_of, in_devices. split; intros [D H]; (split; [| assumption]); [| auto].
  destruct D as [D | D]; [exfalso | assumption]. destruct H as [H | (i & I & W)].
  - apply (old_map p r P H). right. right. apply in_new_devices. exact D.
  - rewrite (proj1 (fresh_lines _ _ Welcome r i D W) p P) in I. discriminate.
Qed.

Lemma old_in_order : forall p, In p (domains d) -> pd_name p <> mediator -> in_order d board p -> in_order d' board p.
Proof.
  intros p P Np O. pose proof (fresh_name _ _ Welcome p P) as Nc. constructor.
  - exact (its_parent _ _ _ O).
  - destruct (its_channel _ _ _ O) as (a & b & L & H). exists a, b. split; [| exact H].
    unfold ends_of in *. rewrite new_ends. simpl.
    assert (E1 : same_name mediator (pd_name p) = false) by (apply same_name_neq; congruence).
    assert (E2 : same_name name (pd_name p) = false) by (apply same_name_neq; congruence).
    rewrite E1, E2. exact L.
  - intros q r Q N M H. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)].
    + apply not_true_iff_false. intros H'. apply (old_map p r P H). apply (own_maps _ _ Welcome). exact H'.
    + rewrite welcomes_name in *. rewrite welcomes_other by assumption. exact (its_regions _ _ _ O q0 r Q N M H).
  - destruct (its_rings_are_memory _ _ _ O). rewrite !device_old; [auto | |];
      eapply old_map; [exact P | apply (its_in_ring _ _ _ O) | exact P | apply (its_out_ring _ _ _ O)].
  - destruct (its_out_ring _ _ _ O) as [M W]. rewrite writes_old by (eapply old_map; eassumption). auto.
  - destruct (its_in_ring _ _ _ O) as [M W]. rewrite writes_old by (eapply old_map; eassumption). auto.
  - intros q Q M. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)]; [elim (proj1 (new_name _ _ Welcome));
    exact M |].
    rewrite welcomes_name in M. destruct (mediators_rings _ _ _ O q0 Q M) as (M1 & M2 & W1 & W2).
    rewrite !writes_welcome by (eapply old_map; eassumption). auto using welcomes_map.
  - intros q i Q N I. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)].
    + apply not_true_iff_false. intros H. rewrite (proj1 (fresh_irqs _ _ Welcome i H) p P) in I. discriminate.
    + rewrite welcomes_name in N. rewrite welcomes_irq. exact (its_irqs _ _ _ O q0 i Q N I).
  - intros q r Q N I. apply devices_of_old in I; [| assumption].
    assert (Dv : In r (devices d)) by (apply in_devices_of in I; apply I).
    apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)].
    + split.
      * apply not_true_iff_false. intros H. apply (not_new r Dv). apply (own_maps _ _ Welcome). exact H.
      * intros i W. apply not_true_iff_false. intros H. rewrite (proj2 (fresh_irqs _ _ Welcome i H) r Dv) in W.
        discriminate.
    + rewrite welcomes_name in N. destruct (its_devices _ _ _ O q0 r Q N I) as [D1 D2].
      destruct rings_are_new as (Ro & Ri & _).
      split; [| intros i W; rewrite welcomes_irq; auto].
      rewrite welcomes_no_more; [assumption | |]; intros ->; exact (not_new _ Dv ltac:(assumption)).
  - intros r r' i I D W W'. apply devices_of_old in I; [| assumption]. apply devices_of_old; [assumption |].
    apply in_devices in D. destruct D as [D | D]; [exfalso | eapply (its_lines _ _ _ O); eassumption].
    apply in_devices_of in I. rewrite (proj2 (fresh_lines _ _ Welcome r' i D W') r (proj1 I)) in W. discriminate.
  - intros S. destruct (its_hardware _ _ _ O S) as [I D]. split; [assumption |].
    destruct (devices_of d' board p) as [| r l] eqn:E; [reflexivity | exfalso].
    assert (H : In r (devices_of d' board p)) by (rewrite E; left; reflexivity).
    apply devices_of_old in H; [| assumption]. rewrite D in H. exact H.
Qed.

Lemma new_device : forall r, In r (devices_of d' board c) -> In r new_devices.
Proof.
  intros r H. apply in_devices_of in H. destruct H as [D H]. apply in_devices in D.
    destruct D as [D | D]; [assumption | exfalso].
  destruct H as [H | (i & I & W)].
  - apply (not_new r D). apply (own_maps _ _ Welcome). exact H.
  - rewrite (proj2 (fresh_irqs _ _ Welcome i I) r D) in W. discriminate.
Qed.

Lemma new_in_order : in_order d' board c.
Proof.
  destruct rings_are_new as (Ro & Ri & Ne). destruct rings_are_plain as [Po Pi].
    constructor; try change (out_ring (pd_name c)) with out; try change (in_ring (pd_name c)) with in_;
    try change (pd_name c) with name.
  - unfold c. rewrite (new_parent _ _ Welcome). exact (proj2 (new_name _ _ Welcome)).
  - exists own_end, mediators_end. split; [| auto]. unfold ends_of. rewrite new_ends. simpl.
    change (pd_name c) with name.
    assert (E1 : same_name mediator name = false) by (apply same_name_neq; intros E;
      apply (proj1 (new_name _ _ Welcome)); auto).
    assert (E2 : same_name name name = true) by (apply same_name_eq; reflexivity). rewrite E1, E2. f_equal.
    destruct (filter _ (ends d)) as [| [a b] l] eqn:E; [reflexivity | exfalso].
    assert (H : In (a, b) (filter (fun '(a, _) => same_name (end_pd a) name) (ends d))) by (rewrite E; left;
      reflexivity).
    apply filter_In in H. destruct H as [H N]. apply same_name_eq in N.
    destruct (ends_known _ _ Mediated a b H) as (p & P & M). apply (fresh_name _ _ Welcome p P). congruence.
  - intros q r Q N M H. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)]; [contradiction |].
    rewrite welcomes_name in *. rewrite welcomes_other by assumption.
    apply (unmapped _ _ Welcome); [apply (own_maps _ _ Welcome); exact H | exact Q].
  - auto.
  - split; [apply (all_mapped _ _ Welcome); assumption |]. rewrite writes_ordinary by assumption.
    apply (writes_out _ _ Welcome).
  - split; [apply (all_mapped _ _ Welcome); assumption |]. rewrite writes_ordinary by assumption.
    apply (writes_not_in _ _ Welcome).
  - intros q Q M. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)]; [elim (proj1 (new_name _ _ Welcome));
    exact M |].
    rewrite welcomes_name in M. rewrite !writes_ordinary by assumption.
    assert (U : forall r, In r new_names -> says_write q0 r = false).
    { intros r R. apply not_true_iff_false. intros H. apply existsb_exists in H. destruct H as (m & I & H). bools.
      subst r.
      assert (X : has_map q0 (map_region m) = true) by (apply in_map_of; eauto).
      rewrite (unmapped _ _ Welcome _ q0 R Q) in X. discriminate. }
    unfold welcomes. apply is_named_eq in M. rewrite M.
    unfold has_map, says_write in *. cbn [pd_maps existsb map_of map_region map_write].
    rewrite (U out Ro).
    assert (E1 : same_name out out = true) by (apply same_name_eq; reflexivity).
    assert (E2 : same_name in_ in_ = true) by (apply same_name_eq; reflexivity).
    assert (E3 : same_name out in_ = false) by (apply same_name_neq; exact Ne).
    rewrite E1, E2, E3. cbn [andb orb]. rewrite !orb_true_r. auto.
  - intros q i Q N I. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)]; [contradiction |].
    rewrite welcomes_irq. exact (proj1 (fresh_irqs _ _ Welcome i I) q0 Q).
  - intros q r Q N I. apply new_device in I. apply in_domains in Q.
    destruct Q as [-> | (q0 & Q & ->)]; [contradiction |].
    pose proof (names_distinct _ _ Welcome) as Nd. unfold new_names in Nd. inversion Nd as [| ? ? N1 N2].
      inversion N2 as [| ? ? N3 _]. subst.
    pose proof (in_new_devices r I) as J. split.
    + rewrite welcomes_no_more; [apply (unmapped _ _ Welcome); [right; right |]; assumption | |]; intros ->;
        [apply N1; right | apply N3]; assumption.
    + intros i W. rewrite welcomes_irq. exact (proj1 (fresh_lines _ _ Welcome r i I W) q0 Q).
  - intros r r' i I D W W'. apply new_device in I. apply in_devices in D. destruct D as [D | D].
    + apply in_devices_of. split; [apply in_devices; auto |]. left. apply (all_mapped _ _ Welcome).
      right. right. apply in_new_devices. exact D.
    + rewrite (proj2 (fresh_lines _ _ Welcome r i I W) r' D) in W'. discriminate.
  - intros S. elim (proj2 (new_name _ _ Welcome)). exact S.
Qed.

Theorem added_is_mediated : mediated d' board.
Proof.
  constructor.
  - unfold d', added. simpl. rewrite map_app, map_map. simpl.
    rewrite (map_ext _ pd_name welcomes_name). fold name. apply NoDup_app_one; [apply (names_once _ _ Mediated) |].
    intros I. apply in_map_iff in I. destruct I as (q & E & Q). exact (fresh_name _ _ Welcome q Q E).
  - exact (no_extras _ _ Mediated).
  - unfold devices_are_disjoint, d', added. cbn [regions flat_map extent plain region_phys app].
    rewrite flat_map_app, disjoint_app.
    destruct (new_addresses _ _ Welcome) as [D H]. pose proof (addresses_apart _ _ Mediated) as Old.
      unfold devices_are_disjoint in Old.
    rewrite D, Old, andb_true_r. apply forallb_forall. intros x X. rewrite (H x X). reflexivity.
  - unfold mediators_numbers. rewrite new_ends. simpl.
    assert (E : same_name name mediator = false) by (apply same_name_neq; apply (new_name _ _ Welcome)).
    rewrite E. constructor; [exact (fresh_number _ _ Welcome) | exact (numbers_once _ _ Mediated)].
  - intros a b I. rewrite new_ends in I. destruct (the_mediator _ _ Mediated) as (m & M & Nm).
    destruct I as [I | [I | I]].
    + injection I as <- <-. exists (welcomes m). rewrite in_domains, welcomes_name. eauto.
    + injection I as <- <-. exists c. rewrite in_domains. auto.
    + destruct (ends_known _ _ Mediated a b I) as (p & P & N). exists (welcomes p).
      rewrite in_domains, welcomes_name. eauto.
  - destruct (the_mediator _ _ Mediated) as (m & M & Nm). exists (welcomes m). rewrite in_domains, welcomes_name.
    eauto.
  - intros q Q N. apply in_domains in Q. destruct Q as [-> | (q0 & Q & ->)]; [elim (proj1 (new_name _ _ Welcome));
    exact N |].
    rewrite welcomes_name in N. rewrite welcomes_parent. exact (its_own_parent _ _ Mediated q0 Q N).
  - intros a b I A. rewrite new_ends in I. destruct I as [I | [I | I]].
    + injection I as <- <-. exact (proj1 (new_name _ _ Welcome)).
    + injection I as <- <-. elim (proj1 (new_name _ _ Welcome)). exact A.
    + exact (no_loop _ _ Mediated a b I A).
  - intros p P N. apply in_domains in P. destruct P as [-> | (p0 & P & ->)]; [exact new_in_order |].
    rewrite welcomes_name in N. rewrite welcomes_other by assumption.
    apply old_in_order; [assumption | assumption | apply (each_in_order _ _ Mediated); assumption].
Qed.

End Added.

End Newcomer.

(** The integrator's lemma: a client whose own lines raise no objection can be added. *)
Theorem a_client_more : forall d board k,
  mediated d board -> objections k d board = [] -> mediated (added k d) board.
Proof. intros d board k M O. apply added_is_mediated; [exact M | apply no_objections; exact O]. Qed.

(** ** Removing one *)

Section Removed.

Variable n : string.

Definition is_its_ring (r : string) : bool := same_name r (out_ring n) || same_name r (in_ring n).

Definition forgets (q : protection_domain) : protection_domain :=
  if is_named mediator q then
    {| pd_name := pd_name q; pd_parent := pd_parent q; pd_priority := pd_priority q; pd_budget := pd_budget q;
       pd_period := pd_period q; pd_cpu := pd_cpu q; pd_maps := filter (fun m => negb (is_its_ring (map_region m))) (pd_maps q);
         pd_irqs := pd_irqs q |}
  else q.

Definition without_end (x : channel) : bool :=
  negb (same_name (end_pd (end_a x)) n) && negb (same_name (end_pd (end_b x)) n).

(** Without the domain, its channel, its rings, and audit's mappings of these.
  Other regions of its own stay, unmapped. *)
Definition removed (d : description) : description := {|
  regions := filter (fun r => negb (is_its_ring (region_name r))) (regions d);
  domains := map forgets (filter (fun q => negb (same_name (pd_name q) n)) (domains d));
  channels := filter without_end (channels d);
  extras := extras d;
|}.

Variable d : description.
Variable board : wiring.
Hypothesis Mediated : mediated d board.
Variable c : protection_domain.
Hypothesis There : In c (domains d).
Hypothesis Named : pd_name c = n.
Hypothesis Compartment : n <> mediator.

Let d' := removed d.

Lemma in_remaining : forall q, In q (domains d') <-> exists q0, In q0 (domains d) /\ pd_name q0 <> n /\
  q = forgets q0.
Proof.
  intros q. unfold d', removed. simpl. rewrite in_map_iff. split.
  - intros (q0 & <- & I). apply filter_In in I. destruct I as [I N]. bools. eauto.
  - intros (q0 & I & N & ->). exists q0. split; [reflexivity |]. apply filter_In. split; [assumption |].
    apply negb_true_iff, same_name_neq. exact N.
Qed.

Lemma forgets_name : forall q, pd_name (forgets q) = pd_name q.
Proof. intros q. unfold forgets. destruct (is_named mediator q); reflexivity. Qed.

Lemma forgets_parent : forall q, pd_parent (forgets q) = pd_parent q.
Proof. intros q. unfold forgets. destruct (is_named mediator q); reflexivity. Qed.

Lemma forgets_irq : forall q i, has_irq (forgets q) i = has_irq q i.
Proof. intros q i. unfold forgets. destruct (is_named mediator q); reflexivity. Qed.

Lemma forgets_other : forall q, pd_name q <> mediator -> forgets q = q.
Proof. intros q N. unfold forgets. apply is_named_neq in N. rewrite N. reflexivity. Qed.

Lemma forgets_map : forall q r, has_map (forgets q) r = true -> has_map q r = true.
Proof.
  intros q r H. apply in_map_of in H. destruct H as (m & I & E). apply in_map_of. exists m. split; [| assumption].
  unfold forgets in I. destruct (is_named mediator q); [| assumption]. simpl in I. apply filter_In in I. apply I.
Qed.

Lemma keeps_map : forall q m, In m (pd_maps q) -> is_its_ring (map_region m) = false -> In m (pd_maps (forgets q)).
Proof.
  intros q m I N. unfold forgets. destruct (is_named mediator q); [| assumption]. simpl. apply filter_In. rewrite N.
    auto.
Qed.

Lemma devices_left : forall r, In r (devices d') -> In r (devices d).
Proof.
  intros r H. apply in_flat_map in H. destruct H as (x & X & H). unfold d', removed in X. simpl in X.
    apply filter_In in X.
  apply in_flat_map. exists x. tauto.
Qed.

Lemma plain_left : forall r, is_device d r = false -> is_device d' r = false.
Proof.
  intros r H. apply not_true_iff_false. rewrite device_in. intros I. apply devices_left, device_in in I. congruence.
Qed.

Lemma c_in_order : in_order d board c.
Proof. apply (each_in_order _ _ Mediated); [assumption | congruence]. Qed.

Lemma no_ring_of_it : forall p r, In p (domains d) -> pd_name p <> n -> pd_name p <> mediator ->
  has_map p r = true -> is_its_ring r = false.
Proof.
  intros p r P N M H. apply not_true_iff_false. intros E. apply orb_true_iff in E.
  assert (Mc : has_map c r = true).
  { pose proof c_in_order as O. destruct (its_out_ring _ _ _ O), (its_in_ring _ _ _ O). rewrite Named in *.
    destruct E as [E | E]; apply same_name_eq in E; subst r; assumption. }
  rewrite (its_regions _ _ _ c_in_order p r P) in H; [discriminate | congruence | assumption | assumption].
Qed.

Lemma ends_left : ends d' = filter (fun '(a, b) => negb (same_name (end_pd a) n) && negb (same_name (end_pd b) n))
  (ends d).
Proof.
  unfold d', removed, ends. simpl. induction (channels d) as [| x l IH]; [reflexivity |]. simpl.
    unfold without_end at 1.
  destruct (same_name (end_pd (end_a x)) n) eqn:A; destruct (same_name (end_pd (end_b x)) n) eqn:E; simpl;
    rewrite ?A, ?E; simpl; rewrite <- IH; reflexivity.
Qed.

Lemma devices_of_left : forall p r, In r (devices_of d' board p) <-> In r (devices d') /\ In r (devices_of d board p).
Proof. intros p r. rewrite !in_devices_of. split; [intros [D H] | intros [D [_ H]]]; auto using devices_left. Qed.

Lemma remaining_in_order : forall p, In p (domains d) -> pd_name p <> n -> pd_name p <> mediator ->
  in_order d' board p.
Proof.
  intros p P N M. pose proof (each_in_order _ _ Mediated p P M) as O. constructor.
  - exact (its_parent _ _ _ O).
  - destruct (its_channel _ _ _ O) as (a & b & L & E & H). exists a, b. split; [| auto].
    assert (X : ends_of d' p = filter (fun '(a, b) => negb (same_name (end_pd a) n) && negb (same_name (end_pd b) n))
      (ends_of d p)).
    { unfold ends_of. rewrite ends_left. induction (ends d) as [| [x y] l IH]; [reflexivity |]. simpl.
      destruct (negb (same_name (end_pd x) n) && negb (same_name (end_pd y) n)) eqn:F;
        destruct (same_name (end_pd x) (pd_name p)) eqn:G;
        simpl; rewrite ?F, ?G, IH; reflexivity. }
    rewrite X, L. simpl. assert (A : In (a, b) (ends_of d p)) by (rewrite L; left; reflexivity).
    apply filter_In in A. destruct A as [_ A]. apply same_name_eq in A.
    assert (E1 : same_name (end_pd a) n = false) by (apply same_name_neq; congruence).
    assert (E2 : same_name (end_pd b) n = false) by (apply same_name_neq; congruence). rewrite E1, E2. reflexivity.
  - intros q r Q Nq Mq H. apply in_remaining in Q. destruct Q as (q0 & Q & _ & ->). rewrite forgets_name in *.
    rewrite forgets_other by assumption. exact (its_regions _ _ _ O q0 r Q Nq Mq H).
  - destruct (its_rings_are_memory _ _ _ O). auto using plain_left.
  - destruct (its_out_ring _ _ _ O) as [X W]. destruct (its_rings_are_memory _ _ _ O) as [Y _].
    rewrite writes_ordinary in * by auto using plain_left. auto.
  - destruct (its_in_ring _ _ _ O) as [X W]. destruct (its_rings_are_memory _ _ _ O) as [_ Y].
    rewrite writes_ordinary in * by auto using plain_left. auto.
  - intros q Q Mq. apply in_remaining in Q. destruct Q as (q0 & Q & _ & ->). rewrite forgets_name in Mq.
    destruct (mediators_rings _ _ _ O q0 Q Mq) as (M1 & M2 & W1 & W2).
      destruct (its_rings_are_memory _ _ _ O) as [Yo Yi].
    rewrite !writes_ordinary in * by auto using plain_left.
    pose proof (no_ring_of_it p _ P N M (proj1 (its_out_ring _ _ _ O))) as Ro.
    pose proof (no_ring_of_it p _ P N M (proj1 (its_in_ring _ _ _ O))) as Ri.
    repeat split.
    + apply in_map_of in M1. destruct M1 as (m & I & E). apply in_map_of. exists m.
      split; [apply keeps_map; congruence | assumption].
    + apply in_map_of in M2. destruct M2 as (m & I & E). apply in_map_of. exists m.
      split; [apply keeps_map; congruence | assumption].
    + apply existsb_exists in W1. destruct W1 as (m & I & E). apply existsb_exists. exists m. split; [| assumption].
      apply keeps_map; [assumption |]. bools. congruence.
    + apply not_true_iff_false. intros W. apply not_true_iff_false in W2. apply W2.
      apply existsb_exists in W. destruct W as (m & I & E). apply existsb_exists. exists m. split; [| assumption].
      unfold forgets in I. destruct (is_named mediator q0); [| assumption]. simpl in I. apply filter_In in I. apply I.
  - intros q i Q Nq I. apply in_remaining in Q. destruct Q as (q0 & Q & _ & ->). rewrite forgets_name in Nq.
    rewrite forgets_irq.
    exact (its_irqs _ _ _ O q0 i Q Nq I).
  - intros q r Q Nq I. apply in_remaining in Q. destruct Q as (q0 & Q & _ & ->). rewrite forgets_name in Nq.
    apply devices_of_left in I. destruct (its_devices _ _ _ O q0 r Q Nq (proj2 I)) as [D1 D2]. split.
    + apply not_true_iff_false. intros H. apply forgets_map in H. congruence.
    + intros i W. rewrite forgets_irq. auto.
  - intros r r' i I D W W'. apply devices_of_left in I. apply devices_of_left. split; [assumption |].
    eapply (its_lines _ _ _ O); [apply I | apply devices_left; exact D | exact W | exact W'].
  - intros S. destruct (its_hardware _ _ _ O S) as [I D]. split; [assumption |].
    destruct (devices_of d' board p) as [| r l] eqn:E; [reflexivity | exfalso].
    assert (H : In r (devices_of d' board p)) by (rewrite E; left; reflexivity).
    apply devices_of_left in H. rewrite D in H. apply H.
Qed.

Lemma nodup_filter_map : forall A B (f : A -> B) (g : A -> bool) l, NoDup (map f l) -> NoDup (map f (filter g l)).
Proof.
  induction l as [| x l IH]; simpl; intros H; [constructor |]. inversion H as [| ? ? H1 H2]; subst.
  destruct (g x); [| auto]. simpl. constructor; [| auto]. intros I. apply H1. apply in_map_iff in I.
    destruct I as (y & E & I).
  apply filter_In in I. rewrite <- E. apply in_map. apply I.
Qed.

Lemma filter_swap : forall A (f g : A -> bool) l, filter f (filter g l) = filter g (filter f l).
Proof.
  induction l as [| x l IH]; [reflexivity |]. simpl. destruct (f x) eqn:F; destruct (g x) eqn:E; simpl;
    rewrite ?F, ?E, IH; reflexivity.
Qed.

Theorem removed_is_mediated : mediated d' board.
Proof.
  constructor.
  - unfold d', removed. simpl. rewrite map_map, (map_ext _ pd_name forgets_name).
    apply nodup_filter_map. exact (names_once _ _ Mediated).
  - exact (no_extras _ _ Mediated).
  - apply disjoint_filter. exact (addresses_apart _ _ Mediated).
  - unfold mediators_numbers. rewrite ends_left, filter_swap. apply nodup_filter_map.
    exact (numbers_once _ _ Mediated).
  - intros a b I. rewrite ends_left in I. apply filter_In in I. destruct I as [I N]. bools.
    destruct (ends_known _ _ Mediated a b I) as (p & P & E). exists (forgets p). rewrite in_remaining, forgets_name.
    split; [| assumption]. exists p. repeat split; [assumption | congruence].
  - destruct (the_mediator _ _ Mediated) as (m & M & E). exists (forgets m). rewrite in_remaining, forgets_name.
    split; [| assumption]. exists m. repeat split; [assumption | congruence].
  - intros q Q E. apply in_remaining in Q. destruct Q as (q0 & Q & _ & ->). rewrite forgets_name in E.
    rewrite forgets_parent.
    exact (its_own_parent _ _ Mediated q0 Q E).
  - intros a b I A. rewrite ends_left in I. apply filter_In in I. exact (no_loop _ _ Mediated a b (proj1 I) A).
  - intros p P M. apply in_remaining in P. destruct P as (p0 & P & N & ->). rewrite forgets_name in M.
    rewrite forgets_other by assumption. apply remaining_in_order; assumption.
Qed.

End Removed.

Theorem a_client_less : forall d board c, mediated d board -> In c (clients d) ->
  mediated (removed (pd_name c) d) board.
Proof.
  intros d board c M C. apply filter_In in C. destruct C as [C _]. apply filter_In in C. destruct C as [C N]. bools.
  exact (removed_is_mediated (pd_name c) d board M c C eq_refl N).
Qed.

(** *** Headless: without any *)

Fixpoint all_removed (names : list string) (d : description) : description :=
  match names with [] => d | n :: names => all_removed names (removed n d) end.

Definition headless (d : description) : description := all_removed (map pd_name (clients d)) d.

Lemma named_forgets : forall n x q, is_named x (forgets n q) = is_named x q.
Proof. intros n x q. unfold is_named. rewrite forgets_name. reflexivity. Qed.

Lemma clients_left : forall n d,
  clients (removed n d) = filter (fun q => negb (same_name (pd_name q) n)) (clients d).
Proof.
  intros n d. unfold clients, compartments, removed. cbn [domains].
  induction (domains d) as [| q l IH]; [reflexivity |]. cbn [filter].
  destruct (same_name (pd_name q) n) eqn:E; cbn [negb].
  - destruct (is_named mediator q); cbn [negb filter]; [exact IH |].
    destruct (is_named server q); cbn [negb filter]; [exact IH |]. rewrite E. exact IH.
  - cbn [map filter]. rewrite named_forgets. destruct (is_named mediator q) eqn:M; cbn [negb filter]; [exact IH |].
    rewrite named_forgets. destruct (is_named server q); cbn [negb filter]; [exact IH |]. rewrite E. cbn [negb].
    rewrite forgets_other by (apply is_named_neq; exact M). f_equal. exact IH.
Qed.

Lemma all_removed_mediated : forall names d board, mediated d board -> NoDup names ->
  (forall n, In n names -> In n (map pd_name (clients d))) ->
  mediated (all_removed names d) board /\
  forall c, In c (clients (all_removed names d)) -> In c (clients d) /\ ~ In (pd_name c) names.
Proof.
  induction names as [| n names IH]; intros d board M Nd I; [split; [exact M | auto] |].
  inversion Nd as [| ? ? N1 N2]; subst. cbn [all_removed].
  destruct (proj1 (in_map_iff _ _ _) (I n (or_introl eq_refl))) as (c & <- & C).
  destruct (IH (removed (pd_name c) d) board) as [M' H].
  - apply a_client_less; assumption.
  - exact N2.
  - intros x X. destruct (proj1 (in_map_iff _ _ _) (I x (or_intror X))) as (y & <- & Y). apply in_map_iff. exists y.
    split; [reflexivity |]. rewrite clients_left. apply filter_In. split; [assumption |].
      apply negb_true_iff, same_name_neq.
    intros E. apply N1. rewrite <- E. exact X.
  - split; [exact M' |]. intros y Y. apply H in Y. destruct Y as [Y1 Y2]. rewrite clients_left in Y1.
    apply filter_In in Y1.
    destruct Y1 as [Y1 Y3]. bools. split; [assumption |]. intros [E | E]; [congruence | contradiction].
Qed.

(** What is left is [mediated] and has no client. *)
Theorem no_client_at_all : forall d board, mediated d board -> mediated (headless d) board /\
  clients (headless d) = [].
Proof.
  intros d board M. unfold headless.
  assert (Nd : NoDup (map pd_name (clients d))).
  { unfold clients, compartments. do 2 apply nodup_filter_map. exact (names_once _ _ M). }
  destruct (all_removed_mediated (map pd_name (clients d)) d board M Nd (fun n I => I)) as [M' H].
    split; [exact M' |].
  destruct (clients (all_removed (map pd_name (clients d)) d)) as [| c l] eqn:E; [reflexivity | exfalso].
  destruct (H c (or_introl eq_refl)) as [C N]. apply N. apply in_map. exact C.
Qed.

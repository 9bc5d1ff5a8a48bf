(** * A client's own lines

    Responsible for: the conditions, domain by domain ([conditions]), under which the theorems of
    [Compartments.v] hold for a description with n clients. [Composition.v] shows that they still hold
    when a client whose own lines are in order is added ([added]), and when one is removed ([removed]).

    The mediator is the domain named audit, the server the one named inference. Every other domain is a
    client. The compartments are the server and the clients: the domains that must be kept apart. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Microkit.
Import ListNotations.
Local Open Scope N_scope.
Local Open Scope list_scope.

Definition mediator : string := "audit".
Definition server : string := "inference".

(** The names of a compartment's rings: the region that it writes, and the one that audit writes. *)
Definition out_ring (name : string) : string := (name ++ "_to_audit")%string.
Definition in_ring (name : string) : string := ("audit_to_" ++ name)%string.

Definition is_named (n : string) (p : protection_domain) : bool := same_name (pd_name p) n.

(** All domains except the mediator. *)
Definition compartments (d : description) : list protection_domain :=
  filter (fun p => negb (is_named mediator p)) (domains d).

(** All domains except the mediator and the server. *)
Definition clients (d : description) : list protection_domain :=
  filter (fun p => negb (is_named server p)) (compartments d).

Definition has_map (p : protection_domain) (r : string) : bool :=
  existsb (fun m => same_name r (map_region m)) (pd_maps p).

Definition has_irq (p : protection_domain) (i : N) : bool := existsb (fun x => i =? irq_number x) (pd_irqs p).

Definition is_wired (board : wiring) (r : string) (i : N) : bool := existsb (N.eqb i) (wired board r).

(** Domains [p] and [q] have different names. *)
Definition other (p q : protection_domain) : bool := negb (same_name (pd_name p) (pd_name q)).

Section Conditions.

Variable d : description.
Variable board : wiring.

(** Whether [p] can write [r] as far as the hardware is concerned. Mapping a device's registers counts as writing. *)
Definition can_write (p : protection_domain) (r : string) : bool :=
  existsb (fun m => same_name r (map_region m) && may_write (map_rights d m)) (pd_maps p).

(** A domain's devices: those that it maps, and those whose interrupts it gets. *)
Definition devices_of (p : protection_domain) : list string :=
  filter (fun r => has_map p r || existsb (has_irq p) (wired board r)) (devices d).

(** ** Conditions of a compartment

    - A client's faults go to Microkit's monitor. The server is a child of the mediator, so its faults go there. *)
Definition parent_in_order (p : protection_domain) : bool :=
  match pd_parent p with
  | None => negb (is_named server p)
  | Some (n, _) => is_named server p && same_name n mediator
  end.

(** - It has exactly one channel, with the mediator, and neither end can call the other. *)
Definition ends_of (p : protection_domain) : list (channel_end * channel_end) :=
  filter (fun '(a, _) => same_name (end_pd a) (pd_name p)) (ends d).

Definition channel_in_order (p : protection_domain) : bool :=
  match ends_of p with
  | [(a, b)] => same_name (end_pd b) mediator && negb (end_pp a) && negb (end_pp b)
  | _ => false
  end.

(** - It shares no region with another compartment. *)
Definition regions_in_order (p : protection_domain) : bool :=
  forallb (fun q => negb (other p q) || is_named mediator q
                    || forallb (fun m => negb (has_map q (map_region m))) (pd_maps p)) (domains d).

(** - It has two rings with the mediator. Each ring is ordinary memory, both domains map it, and only its owner
    writes it. *)
Definition rings_in_order (p : protection_domain) : bool :=
  let out := out_ring (pd_name p) in
  let in_ := in_ring (pd_name p) in
  negb (is_device d out) && negb (is_device d in_)
  && has_map p out && has_map p in_ && can_write p out && negb (can_write p in_)
  && forallb (fun q => negb (is_named mediator q)
                       || has_map q out && has_map q in_ && can_write q in_ && negb (can_write q out)) (domains d).

(** - No other domain has its interrupts or maps its devices. The interrupts of its devices go to no other
    domain, and no other device raises them. *)
Definition devices_in_order (p : protection_domain) : bool :=
  forallb (fun q => negb (other p q)
                    || forallb (fun x => negb (has_irq q (irq_number x))) (pd_irqs p)
                       && forallb (fun r => negb (has_map q r)
                                            && forallb (fun i => negb (has_irq q i)) (wired board r)) (devices_of p))
    (domains d)
  && forallb (fun r => forallb (fun r' => existsb (same_name r') (devices_of p)
                                          || forallb (fun i => negb (is_wired board r' i)) (wired board r))
                         (devices d)) (devices_of p).

(** - The server has no device and no interrupt. *)
Definition hardware_in_order (p : protection_domain) : bool :=
  negb (is_named server p)
  || match pd_irqs p, devices_of p with [], [] => true | _, _ => false end.

Definition conditions (p : protection_domain) : list (string * bool) :=
  [ ("parent"%string, parent_in_order p); ("channel"%string, channel_in_order p);
    ("regions"%string, regions_in_order p); ("rings"%string, rings_in_order p);
    ("devices"%string, devices_in_order p); ("hardware"%string, hardware_in_order p) ].

(** ** Conditions of the whole description *)

Definition mediator_in_order : bool :=
  match filter (is_named mediator) (domains d) with
  | [q] => match pd_parent q with None => true | Some _ => false end
  | _ => false
  end
  && forallb (fun '(a, b) => negb (same_name (end_pd a) mediator && same_name (end_pd b) mediator)) (ends d).

(** The numbers by which the mediator knows its channels. *)
Definition mediators_numbers : list N :=
  map (fun '(a, _) => end_id a) (filter (fun '(a, _) => same_name (end_pd a) mediator) (ends d)).

Definition whole : list (string * bool) :=
  [ ("names"%string, distinct string_dec (map pd_name (domains d)));
    ("extras"%string, match extras d with [] => true | _ => false end);
    ("addresses"%string, devices_are_disjoint d);
    ("numbers"%string, distinct N.eq_dec mediators_numbers);
    ("channels"%string, forallb (fun '(a, _) => existsb (is_named (end_pd a)) (domains d)) (ends d));
    ("mediator"%string, mediator_in_order) ].

(** The names of the conditions that do not hold. *)
Definition failing (l : list (string * bool)) : list string := map fst (filter (fun '(_, b) => negb b) l).

Definition complaints : list (string * string) :=
  map (fun c => (EmptyString, c)) (failing whole)
  ++ flat_map (fun p => map (fun c => (pd_name p, c)) (failing (conditions p))) (compartments d).

(** ** The same as propositions *)

Record in_order (p : protection_domain) : Prop := {
  its_parent : match pd_parent p with
               | None => pd_name p <> server
               | Some (n, _) => pd_name p = server /\ n = mediator
               end;
  its_channel : exists a b, ends_of p = [(a, b)] /\ end_pd b = mediator /\ end_pp a = false /\ end_pp b = false;
  its_regions : forall q r, In q (domains d) -> pd_name q <> pd_name p -> pd_name q <> mediator ->
    has_map p r = true -> has_map q r = false;
  its_rings_are_memory : is_device d (out_ring (pd_name p)) = false /\ is_device d (in_ring (pd_name p)) = false;
  its_out_ring : has_map p (out_ring (pd_name p)) = true /\ can_write p (out_ring (pd_name p)) = true;
  its_in_ring : has_map p (in_ring (pd_name p)) = true /\ can_write p (in_ring (pd_name p)) = false;
  mediators_rings : forall q, In q (domains d) -> pd_name q = mediator ->
    has_map q (out_ring (pd_name p)) = true /\ has_map q (in_ring (pd_name p)) = true /\
    can_write q (in_ring (pd_name p)) = true /\ can_write q (out_ring (pd_name p)) = false;
  its_irqs : forall q i, In q (domains d) -> pd_name q <> pd_name p -> has_irq p i = true -> has_irq q i = false;
  its_devices : forall q r, In q (domains d) -> pd_name q <> pd_name p -> In r (devices_of p) ->
    has_map q r = false /\ forall i, is_wired board r i = true -> has_irq q i = false;
  its_lines : forall r r' i, In r (devices_of p) -> In r' (devices d) ->
    is_wired board r i = true -> is_wired board r' i = true -> In r' (devices_of p);
  its_hardware : pd_name p = server -> pd_irqs p = [] /\ devices_of p = [];
}.

Record mediated : Prop := {
  names_once : NoDup (map pd_name (domains d));
  no_extras : extras d = [];
  addresses_apart : devices_are_disjoint d = true;
  numbers_once : NoDup mediators_numbers;
  ends_known : forall a b, In (a, b) (ends d) -> exists p, In p (domains d) /\ pd_name p = end_pd a;
  the_mediator : exists q, In q (domains d) /\ pd_name q = mediator;
  its_own_parent : forall q, In q (domains d) -> pd_name q = mediator -> pd_parent q = None;
  no_loop : forall a b, In (a, b) (ends d) -> end_pd a = mediator -> end_pd b <> mediator;
  each_in_order : forall p, In p (domains d) -> pd_name p <> mediator -> in_order p;
}.

End Conditions.

(** ** From the check to the propositions *)

Lemma same_name_eq : forall a b, same_name a b = true <-> a = b.
Proof. intros a b. unfold same_name. destruct (string_dec a b); split; congruence. Qed.

Lemma same_name_neq : forall a b, same_name a b = false <-> a <> b.
Proof. intros a b. unfold same_name. destruct (string_dec a b); split; congruence. Qed.

Lemma is_named_eq : forall n p, is_named n p = true <-> pd_name p = n.
Proof. intros. apply same_name_eq. Qed.

Lemma is_named_neq : forall n p, is_named n p = false <-> pd_name p <> n.
Proof. intros. apply same_name_neq. Qed.

Lemma other_eq : forall p q, negb (other p q) = true <-> pd_name q = pd_name p.
Proof. intros. unfold other. rewrite negb_involutive, same_name_eq. split; congruence. Qed.

Lemma in_wired : forall board r i, is_wired board r i = true <-> In i (wired board r).
Proof.
  intros board r i. unfold is_wired. rewrite existsb_exists. split.
  - intros (j & J & E). apply N.eqb_eq in E. congruence.
  - intros I. exists i. rewrite N.eqb_refl. auto.
Qed.

Lemma in_map_of : forall p r, has_map p r = true <-> exists m, In m (pd_maps p) /\ map_region m = r.
Proof.
  intros p r. unfold has_map. rewrite existsb_exists. split; intros (m & I & E); exists m; split; auto.
  - apply same_name_eq in E. congruence.
  - apply same_name_eq. congruence.
Qed.

Lemma in_irq_of : forall p i, has_irq p i = true <-> exists x, In x (pd_irqs p) /\ irq_number x = i.
Proof.
  intros p i. unfold has_irq. rewrite existsb_exists. split; intros (x & I & E); exists x; split; auto.
  - apply N.eqb_eq in E. congruence.
  - apply N.eqb_eq. congruence.
Qed.

Lemma in_devices_of : forall d board p r, In r (devices_of d board p) <->
  In r (devices d) /\ (has_map p r = true \/ exists i, has_irq p i = true /\ is_wired board r i = true).
Proof.
  intros d board p r. unfold devices_of. rewrite filter_In, orb_true_iff, existsb_exists.
  split; intros (D & [M | (i & I & J)]); (split; [assumption |]); auto; right; exists i; rewrite ?in_wired in *; auto.
Qed.

Lemma failing_none : forall l, failing l = [] -> Forall (fun x => snd x = true) l.
Proof.
  intros l H. apply Forall_forall. intros [c b] I. simpl. destruct b; [reflexivity | exfalso].
  assert (F : In c (failing l)).
  { apply in_map_iff. exists (c, false). split; [reflexivity |]. apply filter_In. auto. }
  rewrite H in F. exact F.
Qed.

Lemma flat_map_nil : forall A B (f : A -> list B) l, flat_map f l = [] -> forall x, In x l -> f x = [].
Proof.
  induction l as [| y l IH]; simpl; intros H x I; [contradiction |].
  apply app_eq_nil in H. destruct H as [H1 H2]. destruct I as [<- | I]; auto.
Qed.

Lemma distinct_nodup : forall A (eq : forall a b : A, {a = b} + {a <> b}) l, distinct eq l = true -> NoDup l.
Proof.
  induction l as [| x l IH]; simpl; intros H; [constructor |].
  apply andb_true_iff in H. destruct H as [H D]. constructor; [| auto]. intros I.
  apply negb_true_iff in H. apply not_true_iff_false in H. apply H. apply existsb_exists.
  exists x. split; [assumption |]. destruct (eq x x); congruence.
Qed.

Ltac bools :=
  repeat match goal with
  | H : _ && _ = true |- _ => apply andb_true_iff in H; destruct H
  | H : negb _ = true |- _ => apply negb_true_iff in H
  | H : is_named _ _ = true |- _ => apply is_named_eq in H
  | H : is_named _ _ = false |- _ => apply is_named_neq in H
  | H : same_name _ _ = true |- _ => apply same_name_eq in H
  | H : same_name _ _ = false |- _ => apply same_name_neq in H
  end.

Lemma conditions_hold : forall d board p, failing (conditions d board p) = [] -> in_order d board p.
Proof.
  intros d board p H. apply failing_none in H. unfold conditions in H.
  repeat match goal with H : Forall _ (_ :: _) |- _ => inversion H; clear H; subst end; simpl in *.
  match goal with H : parent_in_order p = true |- _ => rename H into P end.
  match goal with H : channel_in_order d p = true |- _ => rename H into C end.
  match goal with H : regions_in_order d p = true |- _ => rename H into R end.
  match goal with H : rings_in_order d p = true |- _ => rename H into Ri end.
  match goal with H : devices_in_order d board p = true |- _ => rename H into D end.
  match goal with H : hardware_in_order d board p = true |- _ => rename H into Hw end.
  unfold rings_in_order in Ri. bools.
  match goal with H : forallb _ (domains d) = true |- _ => rename H into Rm end.
  unfold devices_in_order in D. apply andb_true_iff in D. destruct D as [D Dl].
  rewrite forallb_forall in Rm, D, Dl.
  constructor; try (split; assumption).
  - unfold parent_in_order in P. destruct (pd_parent p) as [[n i] |]; bools; auto.
  - unfold channel_in_order in C. destruct (ends_of d p) as [| [a b] [|]]; try discriminate. bools. eauto 10.
  - intros q r Q N M E. unfold regions_in_order in R. rewrite forallb_forall in R. specialize (R q Q).
    apply orb_true_iff in R. destruct R as [R | R].
    + apply orb_true_iff in R. destruct R as [R | R]; [apply other_eq in R | bools]; contradiction.
    + rewrite forallb_forall in R. apply in_map_of in E. destruct E as (m & I & <-).
      apply negb_true_iff. auto.
  - intros q Q M. specialize (Rm q Q). apply orb_true_iff in Rm. destruct Rm as [Rm | Rm]; [bools; contradiction |].
    bools. auto.
  - intros q i Q N I. specialize (D q Q). apply orb_true_iff in D.
    destruct D as [D | D]; [apply other_eq in D; contradiction |].
    apply andb_true_iff in D. destruct D as [D _]. rewrite forallb_forall in D.
    apply in_irq_of in I. destruct I as (x & X & <-). apply negb_true_iff. auto.
  - intros q r Q N I. specialize (D q Q). apply orb_true_iff in D.
    destruct D as [D | D]; [apply other_eq in D; contradiction |].
    apply andb_true_iff in D. destruct D as [_ D]. rewrite forallb_forall in D. specialize (D r I).
    apply andb_true_iff in D. destruct D as [D1 D2]. rewrite forallb_forall in D2. split; [bools; assumption |].
    intros i W. apply in_wired in W. apply negb_true_iff. auto.
  - intros r r' i I I' W W'. specialize (Dl r I). rewrite forallb_forall in Dl. specialize (Dl r' I').
    apply orb_true_iff in Dl. destruct Dl as [Dl | Dl].
    + apply existsb_exists in Dl. destruct Dl as (x & X & E). bools. congruence.
    + rewrite forallb_forall in Dl. apply in_wired in W. specialize (Dl i W). rewrite W' in Dl. discriminate.
  - intros S. unfold hardware_in_order in Hw. apply orb_true_iff in Hw.
    destruct Hw as [Hw | Hw]; [bools; contradiction |].
    destruct (pd_irqs p); [| discriminate]. destruct (devices_of d board p); [auto | discriminate].
Qed.

(** A description without complaints is [mediated]. *)
Theorem no_complaints : forall d board, complaints d board = [] -> mediated d board.
Proof.
  intros d board H. unfold complaints in H. apply app_eq_nil in H. destruct H as [W E].
  apply map_eq_nil in W. apply failing_none in W. unfold whole in W.
  repeat match goal with H : Forall _ (_ :: _) |- _ => inversion H; clear H; subst end; simpl in *.
  match goal with H : mediator_in_order d = true |- _ => rename H into M end.
  unfold mediator_in_order in M. apply andb_true_iff in M. destruct M as [M L].
  destruct (filter (is_named mediator) (domains d)) as [| m [|]] eqn:F; try discriminate.
  assert (Only : forall q, In q (domains d) -> pd_name q = mediator -> q = m).
  { intros q Q N. apply is_named_eq in N. assert (I : In q (filter (is_named mediator) (domains d)))
    by (apply filter_In; auto).
    rewrite F in I. destruct I as [<- | []]. reflexivity. }
  constructor.
  - eapply distinct_nodup. eassumption.
  - destruct (extras d); [reflexivity | discriminate].
  - assumption.
  - eapply distinct_nodup. eassumption.
  - intros a b I. match goal with H : forallb _ (ends d) = true |- _ => rewrite forallb_forall in H;
    specialize (H _ I);
      apply existsb_exists in H; destruct H as (p & P & N) end. apply is_named_eq in N. eauto.
  - assert (I : In m (filter (is_named mediator) (domains d))) by (rewrite F; left; reflexivity).
    apply filter_In in I. destruct I as [I N]. bools. eauto.
  - intros q Q N. rewrite (Only q Q N). destruct (pd_parent m); [discriminate | reflexivity].
  - intros a b I A B. rewrite forallb_forall in L. specialize (L _ I). simpl in L. apply negb_true_iff in L.
    apply andb_false_iff in L. destruct L; bools; contradiction.
  - intros p P N. apply conditions_hold.
    assert (C : In p (compartments d)) by (apply filter_In; split; [assumption | apply negb_true_iff, is_named_neq;
      assumption]).
    pose proof (flat_map_nil _ _ _ _ E p C) as H. apply map_eq_nil in H. exact H.
Qed.

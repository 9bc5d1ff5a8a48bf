(** * Mediation: the general T3 and T4, in terms of executions

    Responsible for: what a cut of the flow relation says about two executions, one of which lacks the
    steps and the secrets of whoever is behind the cut. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend Flow.
Import ListNotations.

Section Mediation.

Variable S : system.

Let G := capabilities S.

Hypothesis Source : no_authority_source G = true.
Hypothesis Closed : closed_universe S = true.
Hypothesis Attached : attached_inside S = true.

Notation alters := (alters S).
Notation observes := (observes S).
Notation agree := (agree S).
Notation sound := (sound S).
Notation flows := (flows S).
Notation sources := (sources S).
Notation purge := (purge S).
Notation reach := (reach S).
Notation is_cut := (is_cut S).
Notation separates := (separates S).

Lemma leaves : forall cut inside u v,
  is_cut cut inside = true -> In u inside -> flows u v = true -> In v inside \/ In v cut.
Proof. apply leaves_through; assumption. Qed.

(** ** By steps: nobody of the cut acts *)


Lemma sources_member : forall l base v, In v (sources base l) -> In v base \/ exists e, In e l /\ fst e = v.
Proof.
  induction l as [| e l IH]; simpl; intros base v V; [auto |].
  assert (H : In v (sources base l) -> In v base \/ exists x, (e = x \/ In x l) /\ fst x = v).
  { intros I. apply IH in I. destruct I as [| (x & ? & ?)]; eauto. }
  destruct (existsb _ _); [| auto]. destruct V as [<- | V]; eauto.
Qed.

Lemma sources_app : forall l l' base, sources base (l ++ l') = sources (sources base l') l.
Proof. induction l as [| e l IH]; simpl; intros l' base; [reflexivity |]. rewrite IH. reflexivity. Qed.

(** If nobody of [cut] takes a step, nothing of [inside] arrives where neither was. *)
Lemma sources_avoid : forall cut inside base l, is_cut cut inside = true ->
  (forall v, In v base -> ~ In v inside /\ ~ In v cut) ->
  (forall e, In e l -> ~ In (fst e) cut) ->
  forall v, In v (sources base l) -> ~ In v inside.
Proof.
  intros cut inside base l C Bs L.
  assert (Cut : forall v, In v (sources base l) -> ~ In v cut).
  { intros v V. apply sources_member in V. destruct V as [V | (e & I & <-)]; [apply Bs | apply L]; assumption. }
  induction l as [| e l IH]; simpl in *; intros v V; [apply Bs; assumption |].
  assert (A : forall x, In x (sources base l) -> ~ In x cut).
  { intros x X. apply Cut. destruct (existsb _ _); simpl; auto. }
  specialize (IH (fun e I => L e (or_intror I)) A).
  destruct (existsb _ _) eqn:E; [| auto]. destruct V as [<- | V]; [| auto].
  apply existsb_exists in E. destruct E as (x & X & F). intros I.
  destruct (leaves _ _ _ _ C I F); [eapply IH | eapply A]; eassumption.
Qed.

(** Without [inside]'s events, the sources are the same. *)
Definition without (inside : list subject) (l : list event) : list event :=
  filter (fun e => negb (is_member (fst e) inside)) l.

Lemma purge_without : forall inside u l,
  (forall v, In v (sources [u] l) -> ~ In v inside) ->
  sources [u] (without inside l) = sources [u] l /\ purge u (without inside l) = purge u l.
Proof.
  intros inside u l. induction l as [| e l IH]; simpl; intros N; [auto |].
  destruct (existsb (flows (fst e)) (sources [u] l)) eqn:E.
  - assert (~ In (fst e) inside) by (apply N; left; reflexivity).
    assert (Sub : forall v, In v (sources [u] l) -> ~ In v inside) by (intros; apply N; right; assumption).
    destruct (IH Sub) as [IS IP].
    assert (F : is_member (fst e) inside = false) by (apply not_true_iff_false; rewrite is_member_in; assumption).
    rewrite F. simpl. rewrite IS, IP, E. auto.
  - destruct (IH N) as [IS IP]. destruct (is_member (fst e) inside); simpl; rewrite ?IS, ?IP, ?E; auto.
Qed.

(** From states that differ only in what [inside] sees, with and without [inside]'s events: if its
    information has no way to [u] in these events, [u] sees the same. *)
Lemma unaffected : forall inside u l st st', sound st -> sound st' -> Forall (disciplined G) l ->
  (forall v, In v (sources [u] l) -> ~ In v inside) ->
  (forall v, ~ In v inside -> agree v st st') ->
  agree u (exec st l) (exec st' (without inside l)).
Proof.
  intros inside u l st st' So So' D N A.
  destruct (purge_without inside u l N) as [IS IP].
  assert (D' : Forall (disciplined G) (without inside l)).
  { rewrite Forall_forall in *. intros e I. apply filter_In in I. apply D. tauto. }
  apply (agree_trans S) with (b := exec st' (purge u l)).
  - apply (noninterference S Source); auto.
  - apply agree_sym. rewrite <- IP. apply (noninterference S Source); auto. intros v _ p _. apply same_refl.
Qed.

(** The general T3. If [inside] is left only through [cut], then in every execution in which nobody of
    [cut] takes a step, whoever is in neither sees the same whether or not [inside] acts and whatever
    it holds at the start. *)
Theorem mediation : forall cut inside to, is_cut cut inside = true -> ~ In to inside -> ~ In to cut ->
  forall l st st', sound st -> sound st' -> Forall (disciplined G) l ->
  (forall e, In e l -> ~ In (fst e) cut) ->
  (forall v, ~ In v inside -> agree v st st') ->
  agree to (exec st l) (exec st' (without inside l)).
Proof.
  intros cut inside to C To T l st st' So So' D L A.
  apply unaffected; try assumption.
  eapply sources_avoid; try eassumption.
  intros v [<- | []]. split; assumption.
Qed.

(** The general T4: mediation by two in a fixed order. If [inside] is left only through [first], and
    [wider], which holds [inside] and [first], only through [second] (the monitor left aside: [cut]),
    then in every execution in which no step of [first] is followed by a step of [second], whoever is
    beyond is unaffected by [inside]. *)
Theorem ordered_mediation : forall first second cut inside wider to,
  is_cut (first :: cut) inside = true ->
  is_cut (second :: cut) wider = true ->
  incl inside wider -> In first wider ->
  ~ In to wider -> to <> second -> ~ In to cut ->
  forall l1 l2 st st', sound st -> sound st' -> Forall (disciplined G) (l1 ++ l2) ->
  (forall e, In e (l1 ++ l2) -> ~ In (fst e) cut) ->
  (forall e, In e l1 -> fst e <> first) ->
  (forall e, In e l2 -> fst e <> second) ->
  (forall v, ~ In v inside -> agree v st st') ->
  agree to (exec st (l1 ++ l2)) (exec st' (without inside (l1 ++ l2))).
Proof.
  intros first second cut inside wider to C1 C2 Inc F2 T2 Ne Nc l1 l2 st st' So So' D L L1 L2 A.
  apply unaffected; try assumption. rewrite sources_app.
  assert (Later : forall v, In v (sources [to] l2) -> ~ In v wider).
  { eapply sources_avoid; [eassumption | |].
    - intros v [<- | []]. split; [assumption |].
      intros [E | E]; [congruence | contradiction].
    - intros e I [E | E]; [symmetry in E; apply (L2 e I E) |]. apply (L e); [apply in_or_app; auto | assumption]. }
  eapply sources_avoid; [exact C1 | |].
  - intros v V. pose proof (Later v V) as N. split; [intros I; apply N; apply Inc; assumption |].
    intros [<- | I]; [contradiction |].
    apply sources_member in V. destruct V as [[<- | []] | (e & Ie & <-)]; [contradiction |].
    apply (L e); [apply in_or_app; auto | assumption].
  - intros e I [E | E]; [symmetry in E; apply (L1 e I E) |]. apply (L e); [apply in_or_app; auto | assumption].
Qed.

(** ** By reading: the cut may act, but reads nothing that is tainted

    Taint starts somewhere ([taint]); every step of [inside], and every step that reads a tainted
    part, taints all that its subject may alter. *)

Definition touches (taint : part -> Prop) (st : state) (e : event) : Prop :=
  exists p, In p (event_reads st e) /\ taint p.

Definition tainted_by (inside : list subject) (taint : part -> Prop) (st : state) (e : event) : part -> Prop :=
  fun p => taint p \/ ((In (fst e) inside \/ touches taint st e) /\ In p (alters (fst e))).

(** No step of [cut] reads a part that is tainted when it does. *)
Fixpoint unread_by (cut inside : list subject) (taint : part -> Prop) (st : state) (l : list event) : Prop :=
  match l with
  | [] => True
  | e :: l =>
      (In (fst e) cut -> ~ touches taint st e) /\
      unread_by cut inside (tainted_by inside taint st e) (step st e) l
  end.

(** What only [inside] (and [cut], which the theorem asks not to look) can see. *)
Definition hidden (cut inside : list subject) (taint : part -> Prop) : Prop :=
  forall p v, taint p -> In p (observes v) -> In v inside \/ In v cut.

(** [hidden], decided for a list of parts. *)
Definition are_hidden (cut inside : list subject) (parts : list part) : bool :=
  forallb (fun p =>
    match p with PThread t => is_member t (universe S) | _ => true end
    && forallb (fun v => negb (existsb (fun q => if part_eq p q then true else false) (observes v))
                         || is_member v inside || is_member v cut) (universe S)) parts.

Lemma hidden_parts : forall cut inside parts, are_hidden cut inside parts = true ->
  hidden cut inside (fun p => In p parts).
Proof.
  intros cut inside parts H p v I O. unfold are_hidden in H. rewrite forallb_forall in H.
  specialize (H p I). apply andb_true_iff in H. destruct H as [T H].
  destruct (in_dec subject_eq v (universe S)) as [V | V].
  - rewrite forallb_forall in H. specialize (H v V).
    apply orb_true_iff in H. rewrite is_member_in in H. destruct H as [H | H]; [| auto].
    apply orb_true_iff in H. rewrite is_member_in in H. destruct H as [H | H]; [| auto].
    apply negb_true_iff in H. exfalso. apply not_true_iff_false in H. apply H.
    apply existsb_exists. exists p. split; [exact O |]. destruct (part_eq p p); congruence.
  - exfalso. rewrite (observes_outside S) in O; [| exact V | exact (bound_outside S Attached _ V)].
    destruct O as [<- | []]. apply is_member_in in T. contradiction.
Qed.

(** The stronger T3. If [inside] is left only through [cut], then in every execution in which no step of
    [cut] reads what is tainted from behind it, whoever is in neither sees the same with and without
    the steps of [inside], and whatever the tainted parts held at the start. In other words: a
    difference that [inside] makes arrives elsewhere only if somebody of [cut] took a step that read
    it. *)
Theorem mediation_by_reading : forall cut inside to, is_cut cut inside = true -> ~ In to inside -> ~ In to cut ->
  forall l taint st st', sound st -> sound st' -> Forall (disciplined G) l ->
  hidden cut inside taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by cut inside taint st l ->
  agree to (exec st l) (exec st' (without inside l)).
Proof.
  intros cut inside to C To T l.
  induction l as [| e l IH]; intros taint st st' So So' D Hid E U; simpl.
  - intros p P. apply E. intros I. destruct (Hid p to I P) as [I' | I']; contradiction.
  - pose proof (Forall_inv D) as De. apply Forall_inv_tail in D. destruct U as [U Us].
    destruct (is_member (fst e) inside) eqn:M; simpl.
    + apply is_member_in in M.
      apply (IH (tainted_by inside taint st e)); try assumption.
      * apply (sound_step S Source); assumption.
      * intros p v [I | [_ I]] O; [eapply Hid; eassumption |].
        apply (leaves cut inside (fst e)); try assumption.
        unfold Flow.flows. rewrite (meet_in _ _ _ I O). apply orb_true_r.
      * intros p N. apply same_trans with (b := st).
        -- apply same_sym. apply (step_frame S Source); [assumption | assumption |].
           intros _ I. apply N. right. auto.
        -- apply E. intros I. apply N. left. assumption.
    + assert (N : ~ touches taint st e).
      { destruct (in_dec subject_eq (fst e) cut) as [I | I]; [auto |].
        intros (p & P & Tp). apply (reads_observed S) in P; [| assumption].
        destruct (Hid p (fst e) Tp P) as [I' | I']; [apply is_member_in in I'; congruence | contradiction]. }
      apply (IH (tainted_by inside taint st e)); try assumption.
      * apply (sound_step S Source); assumption.
      * apply (sound_step S Source); assumption.
      * intros p v [I | [[I | I] _]] O; [eapply Hid; eassumption | | contradiction].
        apply is_member_in in I. congruence.
      * intros p Np. apply (step_same S Source); try assumption.
        -- intros q Q. apply E. intros Tq. apply N. exists q. auto.
        -- apply E. intros I. apply Np. left. assumption.
Qed.

(** For what is computed: [cut] separates [from] from [to]. *)
Corollary separated_by_reading : forall cut from to, separates cut from to = true -> ~ In to cut ->
  forall l taint st st', sound st -> sound st' -> Forall (disciplined G) l ->
  hidden cut (reach cut from) taint ->
  (forall p, ~ taint p -> same p st st') ->
  unread_by cut (reach cut from) taint st l ->
  In from (reach cut from) /\
  agree to (exec st l) (exec st' (without (reach cut from) l)).
Proof.
  intros cut from to H T l taint st st' So So' D Hid E U. apply separates_parts in H.
  destruct H as (From & To & C). split; [exact From |].
  exact (mediation_by_reading cut _ to C To T l taint st st' So So' D Hid E U).
Qed.

Corollary separated_in_order : forall first second cut from to,
  separates (first :: cut) from to = true ->
  separates (second :: cut) first to = true ->
  incl (reach (first :: cut) from) (reach (second :: cut) first) ->
  to <> second -> ~ In to cut ->
  forall l1 l2 st st', sound st -> sound st' -> Forall (disciplined G) (l1 ++ l2) ->
  (forall e, In e (l1 ++ l2) -> ~ In (fst e) cut) ->
  (forall e, In e l1 -> fst e <> first) ->
  (forall e, In e l2 -> fst e <> second) ->
  (forall v, ~ In v (reach (first :: cut) from) -> agree v st st') ->
  In from (reach (first :: cut) from) /\
  agree to (exec st (l1 ++ l2)) (exec st' (without (reach (first :: cut) from) (l1 ++ l2))).
Proof.
  intros first second cut from to H1 H2 Inc Ne Nc l1 l2 st st' So So' D L L1 L2 A.
  apply separates_parts in H1, H2. destruct H1 as (From & _ & C1). destruct H2 as (F & To & C2).
  split; [exact From |].
  exact (ordered_mediation first second cut _ _ to C1 C2 Inc F To Ne Nc l1 l2 st st' So So' D L L1 L2 A).
Qed.

End Mediation.

(** * Information flow: the general form of T3 and T4

    Responsible for: the flow relation of the authority graph ([flows]: one subject may alter what
    another may observe), the proof that executions obey it ([noninterference], after Rushby,
    "Noninterference, Transitivity, and Channel-Control Security Policies", 1992, with a weaker
    condition on updates than his: a written value may depend on the value that it replaces), and the
    decidable condition under which a set of subjects cuts all flow ([separates]). *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph.
Import ListNotations.

Section Flow.

Variable S : system.

Let G := capabilities S.

Hypothesis Source : no_authority_source G = true.

Notation alters := (alters S).
Notation observes := (observes S).
Notation agree := (agree S).
Notation sound := (sound S).

(** ** The flow relation *)

Definition meet (a b : list part) : bool :=
  existsb (fun p => existsb (fun q => if part_eq p q then true else false) b) a.

(** A step of [u] may change what [v] sees. *)
Definition flows (u v : subject) : bool := (u =s v) || meet (alters u) (observes v).

Lemma meet_in : forall a b p, In p a -> In p b -> meet a b = true.
Proof.
  intros a b p A B. apply existsb_exists. exists p. split; [assumption |].
  apply existsb_exists. exists p. split; [assumption |]. destruct (part_eq p p); congruence.
Qed.

(** A step of a subject that does not flow to [v] is not seen by [v]. *)
Lemma unseen : forall st e v, sound st -> disciplined G e -> flows (fst e) v = false -> agree v st (step st e).
Proof.
  intros st e v So D F p P.
  apply (step_frame S Source); [assumption | assumption |]. intros _ A.
  apply orb_false_iff in F. destruct F as [_ F]. rewrite (meet_in _ _ _ A P) in F. discriminate.
Qed.

(** ** Noninterference *)

(** The subjects whose information can be in what [base] sees at the end of the events: those of
    [base], and whoever's event is followed by a flow, event by event, to one of them. *)
Fixpoint sources (base : list subject) (l : list event) : list subject :=
  match l with
  | [] => base
  | e :: l =>
      let later := sources base l in
      if existsb (flows (fst e)) later then fst e :: later else later
  end.

(** The events without those of which [u] cannot learn. *)
Fixpoint purge (u : subject) (l : list event) : list event :=
  match l with
  | [] => []
  | e :: l => if existsb (flows (fst e)) (sources [u] l) then e :: purge u l else purge u l
  end.

Lemma agree_sym : forall v a b, agree v a b -> agree v b a.
Proof. intros v a b H p P. apply same_sym. auto. Qed.

Lemma agree_trans : forall v a b c, agree v a b -> agree v b c -> agree v a c.
Proof. intros v a b c H K p P. eapply same_trans; eauto. Qed.

Lemma agree_step : forall v e st st', sound st -> sound st' -> disciplined G e ->
  agree (fst e) st st' -> agree v st st' -> agree v (step st e) (step st' e).
Proof. intros v e st st' So So' D A V p P. apply (step_same S Source); auto. Qed.

(** Two executions from states that may differ in what no source of [u] sees, one with all events, one
    with those of sources only: [u] sees the same. *)
Theorem noninterference : forall u l st st', sound st -> sound st' -> Forall (disciplined G) l ->
  (forall v, In v (sources [u] l) -> agree v st st') ->
  agree u (exec st l) (exec st' (purge u l)).
Proof.
  intros u l. induction l as [| e l IH]; intros st st' So So' D A.
  - apply A. left. reflexivity.
  - pose proof (Forall_inv D) as De. apply Forall_inv_tail in D. simpl in *.
    destruct (existsb (flows (fst e)) (sources [u] l)) eqn:E; simpl.
    + apply IH; try assumption; try (apply (sound_step S Source); assumption).
      intros v V. apply agree_step; try assumption; apply A; simpl; auto.
    + apply IH; try assumption; [apply (sound_step S Source); assumption |].
      intros v V. apply agree_trans with (b := st); [| auto].
      apply agree_sym. apply unseen; try assumption.
      destruct (flows (fst e) v) eqn:F; [| reflexivity].
      rewrite <- E. symmetry. apply existsb_exists. exists v. auto.
Qed.

(** ** Cuts *)

Definition universe : list subject := subjects G.

(** Everything from which something can come to [u] is named: a flow leads from a subject of the
    system to another. *)
Definition closed_universe : bool :=
  forallb (fun u => forallb (fun p => match p with PThread t => is_member t universe | _ => true end) (alters u))
    universe.

Lemma observes_outside : forall v, ~ In v universe -> bound (attachments S) v = None -> observes v = [PThread v].
Proof.
  intros v N Bd. unfold Graph.observes, named_by, space, lines, bound_part.
  rewrite nameable_outside by assumption. rewrite find_key_none by assumption. rewrite Bd. reflexivity.
Qed.

(** One more round of what [from] flows to without [cut]. *)
Definition spread (cut from : list subject) : list subject :=
  filter (fun v => negb (is_member v cut) && existsb (fun u => flows u v) from) universe.

Fixpoint spreads (n : nat) (cut from : list subject) : list subject :=
  match n with
  | O => from
  | Datatypes.S n => spreads n cut (spread cut from)
  end.

(** What [from] reaches without passing [cut]. Whether it is all is checked, not assumed. *)
Definition reach (cut : list subject) (from : subject) : list subject :=
  spreads (List.length universe) cut [from].

(** [inside] holds [from], none of [cut], and is left only through [cut]. *)
Definition is_cut (cut inside : list subject) : bool :=
  forallb (fun c => negb (is_member c inside)) cut
  && forallb (fun u => is_member u universe) inside
  && forallb (fun u => forallb (fun v =>
       negb (flows u v) || is_member v inside || is_member v cut) universe) inside.

(** Every path from [from] to [to] passes [cut]. *)
Definition separates (cut : list subject) (from to : subject) : bool :=
  let inside := reach cut from in
  is_member from inside && negb (is_member to inside) && is_cut cut inside.

Definition attached_inside : bool := forallb (fun '(s, _) => is_member s universe) (attachments S).

Hypothesis Closed : closed_universe = true.
Hypothesis Attached : attached_inside = true.

Lemma bound_outside : forall v, ~ In v universe -> bound (attachments S) v = None.
Proof.
  intros v N. unfold bound, attachment_of. rewrite find_key_none; [reflexivity |].
  intros I. apply in_map_iff in I. destruct I as ([s a] & <- & I).
  unfold attached_inside in Attached. rewrite forallb_forall in Attached.
  apply Attached in I. apply is_member_in in I. auto.
Qed.

Lemma flow_stays : forall u v, In u universe -> flows u v = true -> In v universe.
Proof.
  intros u v U F. destruct (in_dec subject_eq v universe) as [| N]; [assumption | exfalso].
  apply orb_true_iff in F. destruct F as [F | F].
  - destruct (subject_eq u v); [congruence | discriminate].
  - apply existsb_exists in F. destruct F as (p & P & F). apply existsb_exists in F.
    destruct F as (q & Q & E). destruct (part_eq p q) as [<- |]; [| discriminate].
    rewrite observes_outside in Q by auto using bound_outside.
    destruct Q as [<- | []].
    unfold closed_universe in Closed. rewrite forallb_forall in Closed. specialize (Closed u U).
    rewrite forallb_forall in Closed. specialize (Closed _ P). apply is_member_in in Closed. auto.
Qed.

Lemma leaves_through : forall cut inside u v,
  is_cut cut inside = true -> In u inside -> flows u v = true -> In v inside \/ In v cut.
Proof.
  intros cut inside u v C U F. unfold is_cut in C.
  apply andb_true_iff in C. destruct C as [C L]. apply andb_true_iff in C. destruct C as [_ C].
  rewrite forallb_forall in C, L. assert (V : In v universe).
  { eapply flow_stays; [| eassumption]. apply is_member_in. auto. }
  specialize (L u U). rewrite forallb_forall in L. specialize (L v V). rewrite F in L. simpl in L.
  apply orb_true_iff in L. rewrite !is_member_in in L. assumption.
Qed.

Lemma cut_outside : forall cut inside c, is_cut cut inside = true -> In c cut -> ~ In c inside.
Proof.
  intros cut inside c C I N. unfold is_cut in C.
  apply andb_true_iff in C. destruct C as [C _]. apply andb_true_iff in C. destruct C as [C _].
  rewrite forallb_forall in C. specialize (C c I). apply is_member_in in N. rewrite N in C. discriminate.
Qed.

(** *** In terms of paths *)

Inductive path : subject -> list subject -> subject -> Prop :=
  | path_end : forall u, path u [u] u
  | path_step : forall u v w p, flows u v = true -> path v p w -> path u (u :: p) w.

Theorem every_path_passes : forall cut from to, separates cut from to = true ->
  forall p, path from p to -> exists c, In c cut /\ In c p.
Proof.
  intros cut from to H p P. unfold separates in H.
  apply andb_true_iff in H. destruct H as [H C]. apply andb_true_iff in H. destruct H as [From To].
  apply is_member_in in From. apply negb_true_iff in To.
  assert (N : ~ In to (reach cut from)) by (rewrite <- is_member_in; congruence).
  clear To. set (inside := reach cut from) in *. clearbody inside.
  induction P as [u | u v w p F P IH]; [contradiction |].
  destruct (leaves_through _ _ _ _ C From F) as [V | V].
  - destruct (IH V N) as (c & ? & ?). exists c. simpl. auto.
  - exists v. split; [assumption |]. right. destruct P; left; reflexivity.
Qed.

(** *** In terms of executions *)

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
  destruct (leaves_through _ _ _ _ C I F); [eapply IH | eapply A]; eassumption.
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
  apply agree_trans with (b := exec st' (purge u l)).
  - apply noninterference; auto.
  - apply agree_sym. rewrite <- IP. apply noninterference; auto. intros. apply agree_refl.
Qed.

(** The general T3. If [cut] separates [from] from [to], then in every execution in which nobody of
    [cut] takes a step, [to] sees the same whether or not [from] acts and whatever it holds at the
    start: all that [from] reaches without [cut] may be left out of the events, and may differ in the
    states. *)
Theorem mediation : forall cut from to, separates cut from to = true -> ~ In to cut ->
  forall l st st', sound st -> sound st' -> Forall (disciplined G) l ->
  (forall e, In e l -> ~ In (fst e) cut) ->
  (forall v, ~ In v (reach cut from) -> agree v st st') ->
  In from (reach cut from) /\
  agree to (exec st l) (exec st' (without (reach cut from) l)).
Proof.
  intros cut from to H T l st st' So So' D L A. unfold separates in H.
  apply andb_true_iff in H. destruct H as [H C]. apply andb_true_iff in H. destruct H as [From To].
  apply is_member_in in From. apply negb_true_iff in To. split; [assumption |].
  apply unaffected; try assumption.
  eapply sources_avoid; try eassumption.
  intros v [<- | []]. split; [rewrite <- is_member_in; congruence | assumption].
Qed.

(** The general T4: mediation by two in a fixed order. If every path from [from] to [to] passes
    [first] and, from there, [second] (the monitor left aside: [cut]), then in every execution in
    which no step of [first] is followed by a step of [second], [to] is unaffected by [from]. *)
Theorem ordered_mediation : forall first second cut from to,
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
  unfold separates in H1, H2.
  apply andb_true_iff in H1. destruct H1 as [H1 C1]. apply andb_true_iff in H1. destruct H1 as [F1 T1].
  apply andb_true_iff in H2. destruct H2 as [H2 C2]. apply andb_true_iff in H2. destruct H2 as [F2 T2].
  apply is_member_in in F1, F2. apply negb_true_iff in T1, T2.
  split; [assumption |]. apply unaffected; try assumption. rewrite sources_app.
  assert (Later : forall v, In v (sources [to] l2) -> ~ In v (reach (second :: cut) first)).
  { eapply sources_avoid; [eassumption | |].
    - intros v [<- | []]. split; [rewrite <- is_member_in; congruence |].
      intros [E | E]; [congruence | contradiction].
    - intros e I [E | E]; [symmetry in E; apply (L2 e I E) |]. apply (L e); [apply in_or_app; auto | assumption]. }
  eapply sources_avoid; [exact C1 | |].
  - intros v V. pose proof (Later v V) as N. split; [intros I; apply N; apply Inc; assumption |].
    intros [<- | I]; [contradiction |].
    apply sources_member in V. destruct V as [[<- | []] | (e & Ie & <-)]; [contradiction |].
    apply (L e); [apply in_or_app; auto | assumption].
  - intros e I [E | E]; [symmetry in E; apply (L1 e I E) |]. apply (L e); [apply in_or_app; auto | assumption].
Qed.

End Flow.

(** * Information flow: the general form of T3 and T4

    Responsible for: the flow relation of the authority graph ([flows]: one subject may alter what
    another may observe), the proof that executions obey it ([noninterference], after Rushby,
    "Noninterference, Transitivity, and Channel-Control Security Policies", 1992, with a weaker
    condition on updates than his: a written value may depend on the value that it replaces), and the
    decidable condition under which a set of subjects cuts all flow ([separates]). *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend.
Import ListNotations.

Section Flow.

Variable S : system.

Let G := capabilities S.

Hypothesis Source : no_authority_source G = true.

Notation alters := (alters S).
Notation observes := (observes S).
Notation sound := (sound S).

(** ** The flow relation *)

(** Two states that look the same to [s]. *)
Definition agree (s : subject) (st st' : state) : Prop := forall p, In p (observes s) -> same p st st'.

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
Proof.
  intros v e st st' So So' D A V p P. apply (step_same S Source); auto.
  intros q Q. apply A. exact (reads_observed S _ _ _ _ So Q).
Qed.

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

(** The general form: whatever holds [from], lacks [to], and is left only through [cut]. *)
Theorem every_path_leaves : forall cut inside from to, is_cut cut inside = true ->
  In from inside -> ~ In to inside ->
  forall p, path from p to -> exists c, In c cut /\ In c p.
Proof.
  intros cut inside from to C From N p P.
  induction P as [u | u v w p F P IH]; [contradiction |].
  destruct (leaves_through _ _ _ _ C From F) as [V | V].
  - destruct (IH V N) as (c & ? & ?). exists c. simpl. auto.
  - exists v. split; [assumption |]. right. destruct P; left; reflexivity.
Qed.

Lemma separates_parts : forall cut from to, separates cut from to = true ->
  In from (reach cut from) /\ ~ In to (reach cut from) /\ is_cut cut (reach cut from) = true.
Proof.
  intros cut from to H. unfold separates in H.
  apply andb_true_iff in H. destruct H as [H C]. apply andb_true_iff in H. destruct H as [From To].
  apply is_member_in in From. apply negb_true_iff in To.
  split; [assumption |]. split; [rewrite <- is_member_in; congruence | assumption].
Qed.

(** And for what is computed: *)
Corollary every_path_passes : forall cut from to, separates cut from to = true ->
  forall p, path from p to -> exists c, In c cut /\ In c p.
Proof.
  intros cut from to H. apply separates_parts in H. destruct H as (From & To & C).
  exact (every_path_leaves _ _ _ _ C From To).
Qed.

(** Mediation by two in order: wherever a path from [from] to [to] passes [first], it passes [second] or
    [cut] later. With [every_path_passes] it also passes [first], or [cut]. *)
Lemma path_from : forall u p w, path u p w -> forall p1 x p2, p = p1 ++ x :: p2 -> path x (x :: p2) w.
Proof.
  intros u p w P. induction P as [u | u v w p F P IH]; intros p1 x p2 E.
  - destruct p1 as [| y p1]; injection E; intros; subst.
    + constructor.
    + destruct p1; discriminate.
  - destruct p1 as [| y p1]; simpl in E; injection E; intros; subst.
    + econstructor; eassumption.
    + eapply IH. reflexivity.
Qed.

Theorem path_leaves_later : forall first second cut inside to, is_cut (second :: cut) inside = true ->
  In first inside -> ~ In to inside -> first <> second ->
  forall from p, path from p to -> forall p1 p2, p = p1 ++ first :: p2 ->
  (forall c, In c cut -> ~ In c p) -> In second p2.
Proof.
  intros first second cut inside to K F T Ne from p P p1 p2 E N.
  pose proof (path_from _ _ _ P _ _ _ E) as P2.
  destruct (every_path_leaves _ _ _ _ K F T _ P2) as (c & [<- | C] & I).
  - destruct I as [I | I]; [congruence | exact I].
  - exfalso. apply (N c C). rewrite E. apply in_or_app. right. exact I.
Qed.

Corollary later_passes : forall first second cut to, separates (second :: cut) first to = true -> first <> second ->
  forall from p, path from p to -> forall p1 p2, p = p1 ++ first :: p2 ->
  (forall c, In c cut -> ~ In c p) -> In second p2.
Proof.
  intros first second cut to H. apply separates_parts in H. destruct H as (F & T & K).
  exact (path_leaves_later _ _ _ _ _ K F T).
Qed.

End Flow.

(** * What a step depends on

    Responsible for: the parts of the state that a step reads ([reads], given by the operation, not by
    the graph); the proof that what it does is a function of them; and that they are within what the
    graph lets its subject observe. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph.
Import ListNotations.
Local Open Scope N_scope.

(** ** Reads

    Capabilities, mappings and attachments are left out: they are the same in all states that are
    compared ([sound]). *)
Definition reads (st : state) (s : subject) (o : op) : list part :=
  let c := cfg st in
  PThread s ::
  match o with
  | Load m _ => if mapped c s m may_read then [PMemory m] else []
  | Poll n =>
      match notification c s n with
      | Some (n, _, r) => if may_read r && may_poll (attached st) s n then [PPending n] else []
      | None => []
      end
  | Receive e reply _ =>
      match endpoint c s e with
      | Some (e, _, r) =>
          if may_read r then
            match bound (attached st) s with Some n => [PPending n] | None => [] end
            ++ if takes c s e
               then PQueue e :: match reply_object c s reply with Some o => [PAwaits o] | None => [] end else []
          else []
      | None => []
      end
  | Answer reply _ _ _ => match reply_object c s reply with Some o => [PAwaits o] | None => [] end
  | Suspend t | Resume t | ReadRegisters t | CopyRegisters t _ =>
      match tcb c s t with Some t => [PThread t] | None => [] end
  | Raise i => if existsb (N.eqb i) (lines c s) then [PIrq i] else []
  | _ => []
  end.

Definition event_reads (st : state) (e : event) : list part :=
  reads st (fst e) (snd e (registers (thr st (fst e)))).

(** What a step does is a function of what it reads. *)
Lemma effects_depend : forall st st' s o, cfg st = cfg st' -> attached st = attached st' ->
  (forall p, In p (reads st s o) -> same p st st') -> effects st s o = effects st' s o.
Proof.
  intros st st' s o C A R.
  assert (Nd : forall l, named st s l = named st' s l) by (intros; unfold named; rewrite C; reflexivity).
  assert (Tk : forall t l slot, take_cap st t l slot = take_cap st' t l slot)
    by (intros; unfold take_cap; rewrite C; reflexivity).
  destruct o; unfold reads, effects in *; rewrite <- ?C, <- ?A, ?Nd in *; try reflexivity.
  - destruct (mapped _ _ _ _); [| reflexivity]. rewrite (R (PMemory m)) by (simpl; auto). reflexivity.
  - unfold crash. rewrite A. reflexivity.
  - destruct (notification _ _ _) as [[[n' b] r] |]; [| reflexivity].
    destruct (_ && _); [| reflexivity]. rewrite (R (PPending n')) by (simpl; auto). reflexivity.
  - destruct (endpoint _ _ _) as [[[e' b] r] |]; [| reflexivity].
    destruct (may_read r); [| reflexivity].
    unfold receive. rewrite <- A, <- C.
    assert (D : (if takes (cfg st) s e'
                 then match queue st e' with [] => [] | m :: _ => deliver st s e' (reply_object (cfg st) s reply) m slot end
                 else [])
              = (if takes (cfg st) s e'
                 then match queue st' e' with [] => [] | m :: _ => deliver st' s e' (reply_object (cfg st) s reply) m slot end
                 else [])).
    { destruct (takes (cfg st) s e'); [| reflexivity].
      rewrite (R (PQueue e')) by (right; apply in_or_app; right; left; reflexivity).
      destruct (queue st' e') as [| m l]; [reflexivity |].
      unfold deliver. rewrite Tk. destruct (reply_object (cfg st) s reply) as [o |] eqn:O; [| reflexivity].
      assert (W : awaits st o = awaits st' o)
        by (apply (R (PAwaits o)); right; apply in_or_app; right; right; left; reflexivity).
      rewrite W. reflexivity. }
    rewrite D. destruct (bound (attached st) s) as [n |]; [| reflexivity].
    assert (P : pending st n = pending st' n) by (apply (R (PPending n)); simpl; auto).
    rewrite P. reflexivity.
  - destruct (reply_object _ _ _) as [o |]; [| reflexivity].
    rewrite (R (PAwaits o)) by (simpl; auto). destruct (awaits st' o); [rewrite Tk |]; reflexivity.
  - destruct (tcb _ _ _) as [t' |]; [| reflexivity]. unfold cancel.
    rewrite (R (PThread t')) by (simpl; auto). reflexivity.
  - destruct (tcb _ _ _) as [t' |]; [| reflexivity]. unfold cancel.
    rewrite (R (PThread t')) by (simpl; auto). reflexivity.
  - destruct (tcb _ _ _) as [t' |]; [| reflexivity]. rewrite (R (PThread t')) by (simpl; auto). reflexivity.
  - destruct (tcb _ _ from) as [t' |]; [| reflexivity].
    rewrite (R (PThread t')) by (simpl; auto). reflexivity.
  - destruct (existsb _ _); [| reflexivity]. unfold raise_irq.
    rewrite (R (PIrq irq)) by (simpl; auto). reflexivity.
Qed.

Section Depend.

Variable S : system.

Let G := capabilities S.
Let B := attachments S.

Hypothesis Source : no_authority_source G = true.

Notation observes := (observes S).
Notation sound := (sound S).

(** What a step reads, the graph lets its subject observe. *)
Lemma reads_observed : forall st s o p, sound st -> In p (reads st s o) -> In p (observes s).
Proof.
  intros st s o p So H. unfold reads in H. rewrite (sound_cfg _ _ So), ?(sound_attached _ _ So) in H.
  destruct H as [<- | H]; [left; reflexivity |].
  assert (Cap : forall c, In c (named_by S s) -> In p (observes_by S s c) -> In p (observes s))
    by (intros; eapply observes_cap; eassumption).
  assert (Tcb : forall a, In p match tcb G s a with Some t => [PThread t] | None => [] end -> In p (observes s)).
  { intros a I. destruct (tcb _ _ _) eqn:T; [| destruct I]. apply tcb_named in T. eapply Cap; [exact T | exact I]. }
  destruct o; try contradiction H; try (apply (Tcb _ H)).
  - destruct (mapped _ _ _ _) eqn:M; [| destruct H]. destruct H as [<- | []]. apply observes_memory. exact M.
  - destruct (notification _ _ _) as [[[n' b] r] |] eqn:N; [| destruct H]. apply notification_named in N.
    destruct (_ && _) eqn:E; [| destruct H]. eapply Cap; [exact N |]. simpl. rewrite E. exact H.
  - destruct (endpoint _ _ _) as [[[e' b] r] |] eqn:E; [| destruct H]. apply endpoint_named in E.
    destruct (may_read r) eqn:R; [| destruct H].
    apply in_app_or in H. destruct H as [H | H]; [apply observes_bound; exact H |].
    fold G in H. destruct (takes G s e') eqn:K; [| destruct H]. destruct H as [<- | H].
    + eapply Cap; [exact E |]. simpl. unfold may_take. fold G. rewrite R, K. left. reflexivity.
    + destruct (reply_object _ _ _) eqn:O; [| destruct H]. apply reply_named in O. eapply Cap; [exact O | exact H].
  - destruct (reply_object _ _ _) eqn:O; [| destruct H]. apply reply_named in O. eapply Cap; [exact O | exact H].
  - destruct (existsb _ _) eqn:E; [| destruct H]. destruct H as [<- | []]. apply observes_line. exact E.
Qed.

Lemma apply_same : forall p st st' e,
  grants e = false -> attaches e = false -> same p st st' -> same p (apply st e) (apply st' e).
Proof.
  intros p st st' e Gr At H.
  destruct e; try discriminate; destruct p; try exact H; simpl in *; unfold but_for; intros;
    repeat match goal with |- context [if ?c then _ else _] => destruct c end; subst; auto; try (rewrite H; reflexivity).
Qed.

Lemma apply_all_same : forall l p st st',
  (forall e, In e l -> grants e = false /\ attaches e = false) -> same p st st' ->
  same p (apply_all st l) (apply_all st' l).
Proof.
  induction l as [| e l IH]; simpl; intros p st st' H E; [assumption |].
  apply IH; auto. destruct (H e) as [? ?]; auto. apply apply_same; assumption.
Qed.

(** A part that is the same in two states is the same after a step that reads the same in both. *)
Lemma step_same : forall p st st' e, sound st -> sound st' -> disciplined G e ->
  (forall q, In q (event_reads st e) -> same q st st') -> same p st st' ->
  same p (step st e) (step st' e).
Proof.
  intros p st st' e So So' D R E.
  assert (T : thr st (fst e) = thr st' (fst e)) by (apply (R (PThread (fst e))); left; reflexivity).
  assert (C : cfg st = cfg st') by (rewrite (sound_cfg _ _ So), (sound_cfg _ _ So'); reflexivity).
  assert (A : attached st = attached st') by (rewrite (sound_attached _ _ So), (sound_attached _ _ So'); reflexivity).
  unfold step. rewrite <- T, <- C.
  destruct (is_subject (cfg st) (fst e) && is_running (thr st (fst e))) eqn:Ru; [| assumption].
  apply andb_true_iff in Ru. destruct Ru as [Su _]. rewrite (sound_cfg _ _ So) in Su. apply is_subject_in in Su.
  rewrite <- (effects_depend st st' (fst e)) by assumption.
  apply apply_all_same; [| assumption].
  intros x X. apply (effects_safe S Source) in X; tauto.
Qed.

End Depend.

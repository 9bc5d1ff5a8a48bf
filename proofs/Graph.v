(** * T2: integrity

    Responsible for: the authority graph as two finite lists for each subject, the parts of the state
    that it may write ([alters]) and read ([observes]), both computed from the capability
    distribution; and the proof that every step stays within them. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority.
Import ListNotations.
Local Open Scope N_scope.

(** ** Parts of the state *)

Inductive part :=
  | PThread (t : subject)   (* registers and run state *)
  | PMemory (m : region)
  | PPending (n : subject)  (* a notification's word *)
  | PQueue (e : subject)    (* an endpoint's messages *)
  | PAwaits (o : subject)   (* a reply object: whom it would answer *)
  | PIrq (i : N).           (* an interrupt's mask, and what it signals *)

Definition part_eq : forall a b : part, {a = b} + {a <> b}.
Proof. decide equality; solve [apply subject_eq | apply region_eq | apply N.eq_dec]. Defined.

Definition same (p : part) (st st' : state) : Prop :=
  match p with
  | PThread t => thr st t = thr st' t
  | PMemory m => forall a, mem st m a = mem st' m a
  | PPending n => pending st n = pending st' n
  | PQueue e => queue st e = queue st' e
  | PAwaits o => awaits st o = awaits st' o
  | PIrq i => irqs st i = irqs st' i
  end.

Lemma same_refl : forall p st, same p st st.
Proof. destruct p; simpl; auto. Qed.

Lemma same_sym : forall p a b, same p a b -> same p b a.
Proof. destruct p; simpl; auto. Qed.

Lemma same_trans : forall p a b c, same p a b -> same p b c -> same p a c.
Proof. destruct p; simpl; intros; try (etransitivity; eauto); rewrite H; auto. Qed.

(** ** A system: how it boots *)

Record system := {
  capabilities : config;
  attachments : list (subject * attachment);
  initial_irqs : list (N * (subject * N));  (* interrupt, notification, badge *)
}.

Section Graph.

Variable S : system.

Let G := capabilities S.
Let B := attachments S.

Definition named_by (s : subject) : list capability := nameable G s.

(** ** The authority graph *)

Definition handler_endpoint (t : subject) : list subject :=
  match fault_handler (attachment_of B t) with Some (CEndpoint e _ _) => [e] | _ => [] end.

(** Endpoints on whose queue a thread can be, by a call or a fault. *)
Definition sends_to (t : subject) : list subject :=
  flat_map (fun c => match c with
                     | CEndpoint e _ r => if may_write r then [e] else []
                     | _ => []
                     end) (named_by t)
  ++ handler_endpoint t.

Definition is_member (x : subject) (l : list subject) : bool := existsb (fun y => x =s y) l.

Definition senders (e : subject) : list subject :=
  filter (fun t => is_member e (sends_to t)) (subjects G).

(** Whether [s] can come to have a message of the endpoint of [e]. *)
Definition may_take (s e : subject) (r : rights) : bool := may_read r && takes G s e.

(** Threads that a holder of a reply object can come to owe an answer: those whose messages it
    receives. *)
Definition receives_from (s : subject) : list subject :=
  flat_map (fun c => match c with
                     | CEndpoint e _ r => if may_take s e r then senders e else []
                     | _ => []
                     end) (named_by s).

Definition holds_reply (o s : subject) : bool :=
  existsb (fun c => match c with CReply o' => o =s o' | _ => false end) (named_by s).

Definition callers (o : subject) : list subject :=
  flat_map (fun s => if holds_reply o s then receives_from s else []) (subjects G).

Definition reply_objects : list subject :=
  flat_map (fun s => flat_map (fun c => match c with CReply o => [o] | _ => [] end) (named_by s)) (subjects G).

(** Notifications that an interrupt can come to signal: what it signals at boot, and what a holder of
    its handler can direct it to. *)
Definition holds_irq (i : N) (s : subject) : bool :=
  existsb (fun c => match c with CIrqHandler i' => i =? i' | _ => false end) (named_by s).

Definition signals_of (s : subject) : list subject :=
  flat_map (fun c => match c with
                     | CNotification n _ r => if may_write r then [n] else []
                     | _ => []
                     end) (named_by s).

Definition may_signal (i : N) : list subject :=
  flat_map (fun '(i', (n, _)) => if i =? i' then [n] else []) (initial_irqs S)
  ++ flat_map (fun s => if holds_irq i s then signals_of s else []) (subjects G).

Definition bound_part (s : subject) : list part :=
  match bound B s with Some n => [PPending n] | None => [] end.

Definition alters_by (s : subject) (c : capability) : list part :=
  match c with
  | CNotification n _ r => if may_write r || (may_read r && may_poll B s n) then [PPending n] else []
  | CEndpoint e _ r =>
      (if may_write r || may_take s e r then [PQueue e] else [])
      ++ (if may_take s e r then map PThread (senders e) else [])
  | CReply o => PAwaits o :: map PThread (callers o)
  | CTcb t =>
      PThread t :: map PQueue (sends_to t)
      ++ map PAwaits (filter (fun o => is_member t (callers o)) reply_objects)
  | CIrqHandler i => [PIrq i]
  | _ => []
  end.

(** What a subject may write. *)
Definition alters (s : subject) : list part :=
  PThread s
  :: flat_map (alters_by s) (named_by s)
  ++ flat_map (fun '(m, r) => if may_write r then [PMemory m] else []) (space G s)
  ++ map PQueue (handler_endpoint s)
  ++ bound_part s
  ++ flat_map (fun i => PIrq i :: map PPending (may_signal i)) (lines G s).

Definition observes_by (s : subject) (c : capability) : list part :=
  match c with
  | CNotification n _ r => if may_read r && may_poll B s n then [PPending n] else []
  | CEndpoint e _ r => if may_take s e r then [PQueue e] else []
  | CReply o => [PAwaits o]
  | CTcb t => [PThread t]
  | _ => []
  end.

(** What a subject may read. *)
Definition observes (s : subject) : list part :=
  PThread s
  :: flat_map (observes_by s) (named_by s)
  ++ flat_map (fun '(m, r) => if may_read r then [PMemory m] else []) (space G s)
  ++ bound_part s
  ++ map PIrq (lines G s).

(** ** States that the theorems speak of

    Any memory, any registers, any pending signals; threads wait and messages lie only where the graph
    lets them. A freshly booted system is such a state ([boot_sound]), and steps preserve it. *)
Record sound (st : state) : Prop := {
  sound_cfg : cfg st = G;
  sound_attached : attached st = B;
  sound_queue : forall e m, In m (queue st e) -> In (sender m) (senders e);
  sound_awaits : forall o t, awaits st o = Some t -> In t (callers o);
  sound_blocked : forall t e, run (thr st t) = SendBlocked e -> In e (sends_to t);
  sound_waiting : forall t o, run (thr st t) = ReplyBlocked o -> In t (callers o) /\ In o reply_objects;
  sound_irq : forall i n b, signals (irqs st i) = Some (n, b) -> In n (may_signal i);
}.

(** The part that an effect writes. *)
Definition writes (e : effect) : option part :=
  match e with
  | EditRegisters t _ | SetRun t _ => Some (PThread t)
  | Write m _ _ => Some (PMemory m)
  | AddSignal n _ | TakeSignals n => Some (PPending n)
  | Enqueue e _ | Dequeue e | Unqueue e _ => Some (PQueue e)
  | SetAwaits o _ => Some (PAwaits o)
  | SetSignals i _ | SetMasked i _ => Some (PIrq i)
  | Attach _ _ | InsertCap _ _ _ | RemoveCap _ _ | AddMapping _ _ _ | RemoveMapping _ _ | SetRoots _ _ => None
  end.

(** It keeps [sound]. *)
Definition keeps (e : effect) : Prop :=
  match e with
  | SetRun t (SendBlocked e) => In e (sends_to t)
  | SetRun t (ReplyBlocked o) => In t (callers o) /\ In o reply_objects
  | Enqueue e m => In (sender m) (senders e)
  | SetAwaits o (Some t) => In t (callers o)
  | SetSignals i (Some (n, _)) => In n (may_signal i)
  | _ => True
  end.

Definition within (s : subject) (e : effect) : Prop :=
  match writes e with Some p => In p (alters s) | None => True end /\ keeps e.

(** ** Membership, one lemma for each kind of authority *)

Lemma is_member_in : forall x l, is_member x l = true <-> In x l.
Proof.
  intros x l. unfold is_member. rewrite existsb_exists. split.
  - intros (y & I & E). destruct (subject_eq x y); [congruence | discriminate].
  - intros I. exists x. split; [assumption |]. destruct (subject_eq x x); congruence.
Qed.

Lemma in_senders : forall t e, In t (subjects G) -> In e (sends_to t) -> In t (senders e).
Proof. intros. apply filter_In. split; [assumption | apply is_member_in; assumption]. Qed.

Lemma alters_cap : forall s c p, In c (named_by s) -> In p (alters_by s c) -> In p (alters s).
Proof.
  intros. right. apply in_or_app. left. apply in_flat_map. exists c. auto.
Qed.

Lemma observes_cap : forall s c p, In c (named_by s) -> In p (observes_by s c) -> In p (observes s).
Proof.
  intros. right. apply in_or_app. left. apply in_flat_map. exists c. auto.
Qed.

Lemma mapped_in : forall c s m right, mapped c s m right = true -> exists r, In (m, r) (space c s) /\ right r = true.
Proof.
  unfold mapped. intros c s m right H. apply existsb_exists in H. destruct H as ([m' r] & I & E).
  apply andb_true_iff in E. destruct E as [E R]. destruct (region_eq m m') as [<- |]; [eauto | discriminate].
Qed.

Lemma alters_memory : forall s m, mapped G s m may_write = true -> In (PMemory m) (alters s).
Proof.
  intros s m H. apply mapped_in in H. destruct H as (r & I & R).
  right. apply in_or_app. right. apply in_or_app. left. apply in_flat_map. exists (m, r). rewrite R.
  split; [assumption | left; reflexivity].
Qed.

Lemma observes_memory : forall s m, mapped G s m may_read = true -> In (PMemory m) (observes s).
Proof.
  intros s m H. apply mapped_in in H. destruct H as (r & I & R).
  right. apply in_or_app. right. apply in_or_app. left. apply in_flat_map. exists (m, r). rewrite R.
  split; [assumption | left; reflexivity].
Qed.

Lemma alters_handler : forall s e, In e (handler_endpoint s) -> In (PQueue e) (alters s).
Proof.
  intros. right. do 2 (apply in_or_app; right). apply in_or_app. left. apply in_map. assumption.
Qed.

Lemma alters_bound : forall s p, In p (bound_part s) -> In p (alters s).
Proof. intros. right. do 3 (apply in_or_app; right). apply in_or_app. left. assumption. Qed.

Lemma observes_bound : forall s p, In p (bound_part s) -> In p (observes s).
Proof. intros. right. do 2 (apply in_or_app; right). apply in_or_app. left. assumption. Qed.

Lemma alters_line : forall s i p, existsb (N.eqb i) (lines G s) = true ->
  In p (PIrq i :: map PPending (may_signal i)) -> In p (alters s).
Proof.
  intros s i p H I. right. do 4 (apply in_or_app; right). apply in_flat_map. exists i. split; [| assumption].
  apply existsb_exists in H. destruct H as (i' & I' & E). apply N.eqb_eq in E. congruence.
Qed.

Lemma observes_line : forall s i, existsb (N.eqb i) (lines G s) = true -> In (PIrq i) (observes s).
Proof.
  intros s i H. right. do 3 (apply in_or_app; right). apply in_map.
  apply existsb_exists in H. destruct H as (i' & I' & E). apply N.eqb_eq in E. congruence.
Qed.

Lemma sends_cap : forall s e b r, In (CEndpoint e b r) (named_by s) -> may_write r = true -> In e (sends_to s).
Proof.
  intros s e b r I W. apply in_or_app. left. apply in_flat_map. exists (CEndpoint e b r). rewrite W.
  split; [assumption | left; reflexivity].
Qed.

Lemma callers_receive : forall s o e b r t, In s (subjects G) ->
  In (CReply o) (named_by s) -> In (CEndpoint e b r) (named_by s) -> may_take s e r = true ->
  In t (senders e) -> In t (callers o) /\ In o reply_objects.
Proof.
  intros s o e b r t I O E R T. split.
  - apply in_flat_map. exists s. split; [assumption |].
    assert (H : holds_reply o s = true).
    { apply existsb_exists. exists (CReply o). split; [assumption |]. destruct (subject_eq o o); congruence. }
    rewrite H. apply in_flat_map. exists (CEndpoint e b r). rewrite R. auto.
  - apply in_flat_map. exists s. split; [assumption |].
    apply in_flat_map. exists (CReply o). simpl. auto.
Qed.

Lemma may_signal_set : forall s i n b r, In s (subjects G) ->
  In (CIrqHandler i) (named_by s) -> In (CNotification n b r) (named_by s) -> may_write r = true ->
  In n (may_signal i).
Proof.
  intros s i n b r I H N W. apply in_or_app. right. apply in_flat_map. exists s. split; [assumption |].
  assert (E : holds_irq i s = true).
  { apply existsb_exists. exists (CIrqHandler i). split; [assumption | apply N.eqb_refl]. }
  rewrite E. apply in_flat_map. exists (CNotification n b r). rewrite W. simpl. auto.
Qed.

(** ** Every step stays within the graph *)

Lemma is_subject_in : forall c s, is_subject c s = true -> In s (subjects c).
Proof.
  unfold is_subject. intros c s H. destruct (find_key _ _ _) eqn:E; [| discriminate].
  eapply find_key_some. eassumption.
Qed.

Lemma alters_self : forall s, In (PThread s) (alters s).
Proof. intros. left. reflexivity. Qed.

(** A list of one effect. *)
Ltac single := constructor; [split; cbn [writes keeps]; auto using alters_self | constructor].

Section Step.

Variable st : state.
Hypothesis Sound : sound st.
Variable s : subject.
Hypothesis Subject : In s (subjects G).

Lemma within_send : forall e k b w cs, In e (sends_to s) -> In (PQueue e) (alters s) ->
  Forall (within s) (send s e k b w cs).
Proof.
  intros e k b w cs E Q. unfold send. constructor.
  - split; [exact Q | simpl; apply in_senders; assumption].
  - destruct (blocks k); constructor; [| constructor]. split; cbn [writes keeps]; [left; reflexivity | assumption].
Qed.

Lemma within_crash : forall w, Forall (within s) (crash st s w).
Proof.
  intros w. unfold crash. rewrite (sound_attached _ Sound).
  assert (I : Forall (within s) [SetRun s Inactive]).
  { single. }
  destruct (fault_handler _) as [[] |] eqn:E; try exact I.
  destruct (_ && _); [| exact I].
  assert (H : In object (handler_endpoint s)) by (unfold handler_endpoint; rewrite E; left; reflexivity).
  apply within_send; [apply in_or_app; right; assumption | apply alters_handler; assumption].
Qed.

Lemma within_cancel : forall t r, In (CTcb t) (named_by s) -> keeps (SetRun t r) ->
  Forall (within s) (cancel st t ++ [SetRun t r]).
Proof.
  intros t r T K. apply Forall_app. split.
  - unfold cancel. destruct (run (thr st t)) eqn:R; [constructor | constructor | |];
      (constructor; [| constructor]); (split; [| exact Logic.I]); eapply alters_cap; try exact T;
      simpl; right; apply in_or_app.
    + left. apply in_map. apply (sound_blocked _ Sound). assumption.
    + right. apply in_map. apply (sound_waiting _ Sound) in R. apply filter_In. rewrite is_member_in. tauto.
  - constructor; [| constructor]. split; [| exact K].
    eapply alters_cap; [exact T | left; reflexivity].
Qed.

Lemma within_give : forall l, within s (give s l).
Proof. intros. split; [apply alters_self | exact Logic.I]. Qed.

Lemma within_receive : forall e b r o slot,
  no_authority_source G = true ->
  In (CEndpoint e b r) (named_by s) -> may_read r = true ->
  match o with Some o => In (CReply o) (named_by s) | None => True end ->
  Forall (within s) (receive st s e o slot).
Proof.
  intros e b r o slot W E R O. unfold receive. rewrite (sound_attached _ Sound), (sound_cfg _ Sound).
  assert (D : Forall (within s)
    (if takes G s e then match queue st e with [] => [] | m :: _ => deliver st s e o m slot end else [])).
  { destruct (takes G s e) eqn:K; [| constructor].
    assert (M : may_take s e r = true) by (unfold may_take; rewrite R, K; reflexivity). clear R K. rename M into R.
    assert (Q : In (PQueue e) (alters s)).
    { eapply alters_cap; [exact E |]. simpl. rewrite R, orb_true_r. left. reflexivity. }
    assert (T : forall t, In t (senders e) -> In (PThread t) (alters s)).
    { intros t I. eapply alters_cap; [exact E |]. simpl. rewrite R. apply in_or_app. right. apply in_map. assumption. }
    destruct (queue st e) as [| m l] eqn:Qe; [constructor |].
    assert (M : In (sender m) (senders e)) by (apply (sound_queue _ Sound); rewrite Qe; left; reflexivity).
    unfold deliver. rewrite take_cap_none by (rewrite (sound_cfg _ Sound); assumption).
    apply Forall_cons; [split; cbn [writes keeps]; auto |]. apply Forall_cons; [apply within_give |]. simpl.
    assert (No : Forall (within s) [SetRun (sender m) Inactive])
      by (constructor; [split; cbn [writes keeps]; auto using alters_self | constructor]).
    assert (Yes : forall o, In (CReply o) (named_by s) -> Forall (within s)
      (match awaits st o with Some t => [SetRun t Inactive] | None => [] end
        ++ [SetAwaits o (Some (sender m)); SetRun (sender m) (ReplyBlocked o)])).
    { intros o' O'.
      assert (C : In (sender m) (callers o') /\ In o' reply_objects) by (eapply callers_receive; eauto).
      apply Forall_app. split.
      - destruct (awaits st o') as [t |] eqn:A; [| constructor].
        constructor; [split; cbn [writes keeps]; auto using alters_self | constructor].
        eapply alters_cap; [exact O' |]. right. apply in_map. apply (sound_awaits _ Sound). assumption.
      - constructor; [split; cbn [writes keeps]; [| tauto] | constructor; [split; cbn [writes keeps]; auto using alters_self | constructor]].
        eapply alters_cap; [exact O' | left; reflexivity]. }
    destruct (how m); destruct o; auto; solve [constructor | single]. }
  destruct (bound B s) as [n |] eqn:N; [| exact D].
  destruct (pending st n =? 0); [exact D |].
  constructor; [apply within_give |]. constructor; [split; cbn [writes keeps]; auto using alters_self | constructor].
  apply alters_bound. unfold bound_part. rewrite N. left. reflexivity.
Qed.

Lemma within_raise : forall i, existsb (N.eqb i) (lines G s) = true -> Forall (within s) (raise_irq st i).
Proof.
  intros i L. unfold raise_irq. destruct (masked _); [constructor |].
  destruct (signals _) as [[n b] |] eqn:E; [| constructor].
  constructor; [| constructor; [| constructor]]; split; cbn [writes keeps]; auto using alters_self.
  - eapply alters_line; [exact L | left; reflexivity].
  - eapply alters_line; [exact L | right; apply in_map; eapply (sound_irq _ Sound); eassumption].
Qed.

Lemma effects_within : forall o, no_authority_source G = true -> Forall (within s) (effects st s o).
Proof.
  intros o W. pose proof (sound_cfg _ Sound) as C. pose proof (sound_attached _ Sound) as A.
  destruct o; unfold effects; rewrite ?C, ?A, ?no_cnode, ?no_frame, ?no_source by assumption;
    cases; try solve [constructor];
    repeat match goal with
    | H : _ && _ = true |- _ => apply andb_true_iff in H; destruct H
    | H : endpoint _ _ _ = Some _ |- _ => apply endpoint_named in H
    | H : notification _ _ _ = Some _ |- _ => apply notification_named in H
    | H : tcb _ _ _ = Some _ |- _ => apply tcb_named in H
    | H : irq_handler _ _ _ = Some _ |- _ => apply irq_named in H
    end.
  - single.
  - constructor; [apply within_give | constructor].
  - single. apply alters_memory. assumption.
  - apply within_crash.
  - single. eapply alters_cap; [eassumption |]. simpl.
    match goal with H : may_write _ = true |- _ => rewrite H end. left. reflexivity.
  - constructor; [apply within_give |]. single. eapply alters_cap; [eassumption |]. simpl.
    match goal with H : may_read _ = true, H' : may_poll _ _ _ = true |- _ => rewrite H, H', orb_true_r end.
    left. reflexivity.
  - apply within_send; [eapply sends_cap; eassumption |]. eapply alters_cap; [eassumption |]. simpl.
    match goal with H : may_write _ = true |- _ => rewrite H end. left. reflexivity.
  - apply within_send; [eapply sends_cap; eassumption |]. eapply alters_cap; [eassumption |]. simpl.
    match goal with H : may_write _ = true |- _ => rewrite H end. left. reflexivity.
  - eapply within_receive; try eassumption.
    destruct (reply_object _ _ _) eqn:R; [eapply reply_named; eassumption | exact Logic.I].
  - rewrite take_cap_none by (rewrite C; assumption).
    match goal with H : reply_object _ _ _ = Some _ |- _ => apply reply_named in H end.
    match goal with H : awaits _ _ = Some _ |- _ => apply (sound_awaits _ Sound) in H end.
    assert (T : In (PThread s1) (alters s))
      by (eapply alters_cap; [eassumption |]; right; apply in_map; assumption).
    constructor; [split; cbn [writes keeps]; auto using alters_self | constructor; [split; cbn [writes keeps]; auto using alters_self | single]]. eapply alters_cap; [eassumption | left; reflexivity].
  - apply within_cancel; [assumption | exact Logic.I].
  - apply within_cancel; [assumption | exact Logic.I].
  - single. eapply alters_cap; [eassumption | left; reflexivity].
  - constructor; [apply within_give | constructor].
  - single. eapply alters_cap; [eassumption | left; reflexivity].
  - single.
  - single.
  - single.
  - single. eapply alters_cap; [eassumption | left; reflexivity].
  - constructor; [| constructor]. split; cbn [writes keeps].
    + match goal with H : In (CIrqHandler _) _ |- _ => eapply alters_cap; [exact H | left; reflexivity] end.
    + eapply may_signal_set; eassumption.
  - single. eapply alters_cap; [eassumption | left; reflexivity].
  - apply within_raise. assumption.
Qed.

End Step.

(** *** A step preserves [sound] *)

Lemma sound_apply : forall st e,
  sound st -> grants e = false -> attaches e = false -> keeps e -> sound (apply st e).
Proof.
  intros st e [C A Q W K R I] Gr At Ke.
  destruct e; try discriminate; constructor; simpl in *; try assumption;
    unfold but_for; intros;
    repeat match goal with
    | H : context [if ?eq ?x ?y then _ else _] |- _ => destruct (eq x y); subst; simpl in *
    end; eauto; try congruence.
  - rewrite H in Ke. assumption.
  - rewrite H in Ke. assumption.
  - apply in_app_or in H. destruct H as [H | [<- | []]]; eauto.
  - apply Q. destruct (queue st e); simpl in *; [destruct H | right; assumption].
  - apply filter_In in H. apply Q. tauto.
  - rewrite H in Ke. assumption.
Qed.

Lemma sound_apply_all : forall l st,
  sound st -> (forall e, In e l -> grants e = false /\ attaches e = false /\ keeps e) -> sound (apply_all st l).
Proof.
  induction l as [| e l IH]; simpl; intros st So H; [assumption |].
  apply IH; [| auto]. destruct (H e) as (? & ? & ?); auto. apply sound_apply; assumption.
Qed.

Hypothesis Source : no_authority_source G = true.

(** The effects of a disciplined step are within the graph, and none is on authority. *)
Lemma effects_safe : forall st e, sound st -> disciplined G e -> In (fst e) (subjects G) ->
  forall r x, In x (effects st (fst e) (snd e r)) ->
  grants x = false /\ attaches x = false /\ within (fst e) x.
Proof.
  intros st e So D E r x X. split; [| split].
  - eapply grants_nothing; [rewrite (sound_cfg _ So) |]; eassumption.
  - destruct x; try reflexivity. exfalso.
    apply attaches_only_by_holders in X. rewrite (sound_cfg _ So) in X. destruct X as [H R].
    rewrite (D H) in R. discriminate.
  - pose proof (effects_within st So _ E (snd e r) Source) as W.
    rewrite Forall_forall in W. auto.
Qed.

Ltac in_subjects So :=
  match goal with E : _ && _ = true |- _ =>
    apply andb_true_iff in E; destruct E as [E _]; rewrite (sound_cfg _ So) in E; apply is_subject_in in E
  end.

Lemma sound_step : forall st e, sound st -> disciplined G e -> sound (step st e).
Proof.
  intros st e So D. unfold step. destruct (_ && _) eqn:E; [| assumption]. in_subjects So.
  apply sound_apply_all; [assumption |]. intros x X.
  apply effects_safe in X; try assumption. unfold within in X. tauto.
Qed.

Lemma sound_exec : forall l st, sound st -> Forall (disciplined G) l -> sound (exec st l).
Proof.
  induction l as [| e l IH]; simpl; intros st So D; [assumption |].
  pose proof (Forall_inv D) as De. apply Forall_inv_tail in D. apply IH; [apply sound_step |]; assumption.
Qed.

(** ** T2 *)

Lemma apply_frame : forall p st e, writes e <> Some p -> grants e = false -> attaches e = false ->
  same p st (apply st e).
Proof.
  intros p st e H Gr At.
  destruct e; try discriminate; destruct p; try (simpl; reflexivity); simpl; unfold but_for; intros;
    try match goal with |- context [if ?c then _ else _] => destruct c end; subst; try reflexivity;
    exfalso; apply H; reflexivity.
Qed.

Lemma apply_all_frame : forall l p st,
  (forall e, In e l -> writes e <> Some p /\ grants e = false /\ attaches e = false) ->
  same p st (apply_all st l).
Proof.
  induction l as [| e l IH]; simpl; intros p st H; [apply same_refl |].
  eapply same_trans; [| apply IH; auto]. destruct (H e) as (? & ? & ?); auto. apply apply_frame; assumption.
Qed.

(** A step changes only what its subject may alter. *)
Lemma step_frame : forall p st e, sound st -> disciplined G e ->
  (In (fst e) (subjects G) -> ~ In p (alters (fst e))) -> same p st (step st e).
Proof.
  intros p st e So D N. unfold step. destruct (_ && _) eqn:E; [| apply same_refl]. in_subjects So.
  apply apply_all_frame. intros x X.
  apply effects_safe in X; try assumption. destruct X as (Gr & At & W & _). repeat split; auto.
  intros P. rewrite P in W. apply N; auto.
Qed.

(** Over any execution, whoever takes the steps: a part of the state that none of them may alter is as
    it was. *)
Theorem integrity : forall l p st, sound st -> Forall (disciplined G) l ->
  (forall e, In e l -> In (fst e) (subjects G) -> ~ In p (alters (fst e))) ->
  same p st (exec st l).
Proof.
  induction l as [| e l IH]; intros p st So D N; [apply same_refl |].
  change (exec st (e :: l)) with (exec (step st e) l).
  pose proof (Forall_inv D) as De. apply Forall_inv_tail in D. apply same_trans with (b := step st e).
  - apply step_frame; [assumption | assumption | apply N; left; reflexivity].
  - apply IH; [apply sound_step; assumption | assumption | intros; apply N; [right |]; assumption].
Qed.

(** In the issue's words: whatever subjects other than [x] do, what no other subject may alter stays. *)
Corollary integrity_of : forall x p l st, sound st -> Forall (disciplined G) l ->
  (forall s, In s (subjects G) -> s <> x -> ~ In p (alters s)) ->
  (forall e, In e l -> fst e <> x) ->
  same p st (exec st l).
Proof. intros. apply integrity; auto. Qed.

End Graph.

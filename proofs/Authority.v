(** * T1: authority never grows

    Responsible for: what a subject can name ([nameable], a finite list that covers all 2^64
    addresses), the decidable condition under which nobody can create or move authority
    ([no_authority_source]), and the proof that under this condition no execution changes the
    capability distribution. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model.
Import ListNotations.
Local Open Scope N_scope.

(** ** What can be named *)

(** All results of [resolve], over all addresses. *)
Fixpoint reachable (fuel : nat) (c : config) (at_cap : capability) (left : N) : list capability :=
  match fuel, at_cap with
  | S fuel, CCNode id guard_bits guard radix =>
      if left <? guard_bits + radix then []
      else
        let rest := left - guard_bits - radix in
        flat_map (fun '(_, found) =>
          if rest =? 0 then [found]
          else match found with
               | CCNode _ _ _ _ => reachable fuel c found rest
               | _ => [found]
               end) (slots c id)
  | _, _ => []
  end.

Definition nameable (c : config) (s : subject) : list capability :=
  match find_key subject_eq s (threads c) with
  | Some b => match cspace_root b with
              | Some root => reachable depth c root word_bits
              | None => []
              end
  | None => []
  end.

Lemma find_key_in : forall K V (eq : forall a b : K, {a = b} + {a <> b}) k (l : list (K * V)) v,
  find_key eq k l = Some v -> In (k, v) l.
Proof.
  induction l as [| [k' v'] l IH]; simpl; intros v H; [discriminate |].
  destruct (eq k k') as [-> |]; [injection H as ->; auto | auto].
Qed.

Lemma resolve_reachable : forall fuel c root address left found,
  resolve fuel c root address left = Some found -> In found (reachable fuel c root left).
Proof.
  induction fuel as [| fuel IH]; intros c root address left found H; [discriminate |].
  destruct root; try discriminate; simpl in *.
  destruct (left <? guard_bits + radix); [discriminate |].
  destruct (_ =? guard); [| discriminate].
  destruct (find_key _ _ _) as [c' |] eqn:E; [| discriminate].
  apply find_key_in in E.
  apply in_flat_map. exists (N.shiftr address (left - guard_bits - radix) mod 2 ^ radix, c').
  split; [assumption |].
  destruct (_ =? 0); [injection H as ->; left; reflexivity |].
  destruct c'; try (injection H as <-; left; reflexivity).
  eapply IH; eassumption.
Qed.

(** Whatever address a subject tries, the capability that it names is in the list. *)
Theorem lookup_nameable : forall c s address found,
  lookup c s address = Some found -> In found (nameable c s).
Proof.
  unfold lookup, nameable. intros c s address found H.
  destruct (find_key _ _ _) as [b |]; [| discriminate].
  destruct (cspace_root b); [| discriminate].
  eapply resolve_reachable; eassumption.
Qed.

(** ** The condition *)

(** A capability from which [s] can make no authority. A CNode would let it take and give capabilities,
    a frame could be mapped, and another's VSpace could be changed. A scheduling context moves no data,
    only time, which the model does not have; so nobody may hold one. *)
Definition harmless (s : subject) (c : capability) : bool :=
  match c with
  | CNotification _ _ _ | CEndpoint _ _ _ | CReply _ | CTcb _ | CIrqHandler _ => true
  | CVSpace v => v =s s
  | CFrame _ _ | CCNode _ _ _ _ | CSchedContext _ => false
  | CUntyped | CIrqControl | CAsidControl | CAsidPool | CSchedControl | CSmc => false
  end.

Definition subjects (c : config) : list subject := map fst (threads c).

Definition no_authority_source (c : config) : bool :=
  forallb (fun s => forallb (harmless s) (nameable c s)) (subjects c).

Lemma find_key_none : forall K V (eq : forall a b : K, {a = b} + {a <> b}) k (l : list (K * V)),
  ~ In k (map fst l) -> find_key eq k l = None.
Proof.
  induction l as [| [k' v] l IH]; simpl; intros H; [reflexivity |].
  destruct (eq k k') as [-> |]; [exfalso; auto | auto].
Qed.

Lemma find_key_some : forall K V (eq : forall a b : K, {a = b} + {a <> b}) k (l : list (K * V)) v,
  find_key eq k l = Some v -> In k (map fst l).
Proof.
  intros K V eq k l v H. apply find_key_in in H. apply in_map with (f := fst) in H. exact H.
Qed.

Lemma nameable_outside : forall c s, ~ In s (subjects c) -> nameable c s = [].
Proof. intros c s H. unfold nameable. rewrite find_key_none; auto. Qed.

Lemma lookup_harmless : forall c s a found,
  no_authority_source c = true -> lookup c s a = Some found -> harmless s found = true.
Proof.
  intros c s a found W H.
  apply lookup_nameable in H.
  destruct (in_dec subject_eq s (subjects c)) as [I | I].
  - unfold no_authority_source in W. rewrite forallb_forall in W.
    specialize (W s I). rewrite forallb_forall in W. auto.
  - rewrite nameable_outside in H by assumption. destruct H.
Qed.

Lemma no_cnode : forall c s a, no_authority_source c = true -> cnode_cap c s a = None.
Proof.
  intros c s a W. unfold cnode_cap. destruct (lookup c s a) as [[] |] eqn:E; try reflexivity.
  apply (lookup_harmless _ _ _ _ W) in E. discriminate E.
Qed.

Lemma no_frame : forall c s a, no_authority_source c = true -> frame_cap c s a = None.
Proof.
  intros c s a W. unfold frame_cap. destruct (lookup c s a) as [[] |] eqn:E; try reflexivity.
  apply (lookup_harmless _ _ _ _ W) in E. discriminate E.
Qed.

Lemma no_source : forall c s a, no_authority_source c = true -> authority_source c s a = false.
Proof.
  intros c s a W. unfold authority_source. destruct (lookup c s a) as [[] |] eqn:E; try reflexivity;
  apply (lookup_harmless _ _ _ _ W) in E; discriminate E.
Qed.

(** A typed lookup finds what the subject can name. *)
Ltac typed_lookup :=
  intros c s a; intros;
  match goal with H : ?f c s a = Some _ |- _ => unfold f in H end;
  destruct (lookup c s a) as [[] |] eqn:E; try discriminate;
  match goal with H : Some _ = Some _ |- _ => injection H; intros; subst end;
  exact (lookup_nameable _ _ _ _ E).

Lemma endpoint_named : forall c s a e b r,
  endpoint c s a = Some (e, b, r) -> In (CEndpoint e b r) (nameable c s).
Proof. typed_lookup. Qed.

Lemma notification_named : forall c s a n b r,
  notification c s a = Some (n, b, r) -> In (CNotification n b r) (nameable c s).
Proof. typed_lookup. Qed.

Lemma reply_named : forall c s a o, reply_object c s a = Some o -> In (CReply o) (nameable c s).
Proof. typed_lookup. Qed.

Lemma tcb_named : forall c s a t, tcb c s a = Some t -> In (CTcb t) (nameable c s).
Proof. typed_lookup. Qed.

Lemma irq_named : forall c s a i, irq_handler c s a = Some i -> In (CIrqHandler i) (nameable c s).
Proof. typed_lookup. Qed.

(** ** What authority a step may change

    If [P] holds for the effects below, it holds for every effect of a step. This is the case analysis
    over the operations, done once for this file and for [Graph.v]. *)

(** Takes apart the conditions of an operation. *)
Ltac cases :=
  repeat match goal with
  | |- context [match ?x with _ => _ end] => destruct x eqn:?
  end.

(** What changes the capability distribution. *)
Definition grants (e : effect) : bool :=
  match e with
  | InsertCap _ _ _ | RemoveCap _ _ | AddMapping _ _ _ | RemoveMapping _ _ | SetRoots _ _ => true
  | _ => false
  end.

Lemma take_cap_none : forall st s l slot,
  no_authority_source (cfg st) = true -> take_cap st s l slot = [].
Proof.
  intros st s l slot W. unfold take_cap. rewrite no_cnode by assumption. destruct l; reflexivity.
Qed.

Lemma grants_nothing : forall st s o,
  no_authority_source (cfg st) = true -> forall e, In e (effects st s o) -> grants e = false.
Proof.
  intros st s o W.
  assert (H : forallb (fun e => negb (grants e)) (effects st s o) = true).
  { destruct o; unfold effects, receive, deliver, raise_irq, crash, send, cancel;
      rewrite ?take_cap_none, ?no_cnode, ?no_frame, ?no_source by assumption;
      cases; try reflexivity; rewrite ?take_cap_none by assumption; try reflexivity; cases; reflexivity. }
  rewrite forallb_forall in H. intros e I. apply H in I. destruct (grants e); [discriminate | reflexivity].
Qed.

Lemma apply_cfg : forall st e, grants e = false -> cfg (apply st e) = cfg st.
Proof. intros st e H. destruct e; try reflexivity; discriminate H. Qed.

Lemma apply_all_cfg : forall l st, (forall e, In e l -> grants e = false) -> cfg (apply_all st l) = cfg st.
Proof.
  induction l as [| e l IH]; simpl; intros st H; [reflexivity |].
  rewrite IH by (intros; apply H; auto). apply apply_cfg. apply H. auto.
Qed.

Lemma step_cfg : forall st e, no_authority_source (cfg st) = true -> cfg (step st e) = cfg st.
Proof.
  intros st e W. unfold step. destruct (_ && _); [| reflexivity].
  apply apply_all_cfg. apply grants_nothing. assumption.
Qed.

(** ** T1

    In every execution, whatever each subject does (including Microkit's monitor and the holders of
    TCBs), no slot of any CNode, no mapping of any VSpace and no thread's CSpace or VSpace changes. *)
Theorem authority_never_grows : forall st l,
  no_authority_source (cfg st) = true -> cfg (exec st l) = cfg st.
Proof.
  intros st l. revert st. induction l as [| e l IH]; simpl; intros st W; [reflexivity |].
  rewrite IH; rewrite step_cfg; auto.
Qed.

(** The same for each subject: it can name the same capabilities, by the same addresses, and reach
    the same memory. *)
Corollary authority_of_subject_never_grows : forall st l s,
  no_authority_source (cfg st) = true ->
  (forall a, lookup (cfg (exec st l)) s a = lookup (cfg st) s a) /\
  nameable (cfg (exec st l)) s = nameable (cfg st) s /\
  space (cfg (exec st l)) s = space (cfg st) s.
Proof. intros. rewrite authority_never_grows by assumption. auto. Qed.

(** *** Attachments

    A thread's fault handler and bound notification are not in a CNode. A holder of the thread's TCB
    capability may exchange them, but only for capabilities that it can name itself. So no thread gets
    a handler or notification that no holder had. *)

Definition handler_origin (c : config) (l : list (subject * attachment)) (t : subject) (h : option capability) : Prop :=
  h = fault_handler (attachment_of l t) \/
  exists s e b r, h = Some (CEndpoint e b r) /\ In (CTcb t) (nameable c s) /\ In (CEndpoint e b r) (nameable c s).

Definition bound_origin (c : config) (l : list (subject * attachment)) (t : subject) (n : option subject) : Prop :=
  n = bound l t \/ n = None \/
  exists s n' b r, n = Some n' /\ In (CTcb t) (nameable c s) /\ In (CNotification n' b r) (nameable c s) /\ may_read r = true.

Definition attachment_origin c l t (a : attachment) : Prop :=
  handler_origin c l t (fault_handler a) /\ bound_origin c l t (bound_notification a).

Lemma attachment_of_edit : forall l t a t',
  let a' := attachment_of (edit_key subject_eq t (fun _ => a) l) t' in
  (t = t' /\ a' = a) \/ a' = attachment_of l t'.
Proof.
  unfold attachment_of. induction l as [| [k v] l IH]; intros t a t'; simpl; [auto |].
  destruct (subject_eq t' k) as [E | E]; [| apply IH].
  destruct (subject_eq t k) as [E' | E']; [left; split; congruence | right; reflexivity].
Qed.

Lemma attaches_origin : forall st s o t a,
  In (Attach t a) (effects st s o) ->
  exists h n, attachment_of (attached st) t = {| fault_handler := h; bound_notification := n |} /\
    In (CTcb t) (nameable (cfg st) s) /\
    (fault_handler a = h \/
     exists e b r, fault_handler a = Some (CEndpoint e b r) /\ In (CEndpoint e b r) (nameable (cfg st) s)) /\
    (bound_notification a = n \/ bound_notification a = None \/
     exists n b r, bound_notification a = Some n /\ In (CNotification n b r) (nameable (cfg st) s) /\ may_read r = true).
Proof.
  intros st s o t a H.
  destruct (attachment_of (attached st) t) as [h n] eqn:T.
  destruct o; unfold effects, receive, deliver, raise_irq, crash, send, cancel, take_cap in H;
    repeat match type of H with
    | context [match ?x with _ => _ end] => destruct x eqn:?
    end; simpl in H;
    repeat match type of H with
    | _ \/ _ => destruct H as [H | H]
    | False => destruct H
    | _ = Attach _ _ => try discriminate H
    end;
    injection H as <- <-; unfold bound in *; simpl; rewrite ?T; simpl;
    eexists; eexists; repeat split; eauto using tcb_named, endpoint_named, notification_named;
    right; eauto 10 using tcb_named, endpoint_named, notification_named.
Qed.

Theorem attachments_come_from_tcb_holders : forall l st,
  no_authority_source (cfg st) = true ->
  forall t, attachment_origin (cfg st) (attached st) t (attachment_of (attached (exec st l)) t).
Proof.
  intros l st W.
  cut (forall st', cfg st' = cfg st ->
        (forall t, attachment_origin (cfg st) (attached st) t (attachment_of (attached st') t)) ->
        forall t, attachment_origin (cfg st) (attached st) t (attachment_of (attached (exec st' l)) t)).
  { intros H t. apply H; [reflexivity |]. intros. split; left; reflexivity. }
  induction l as [| e l IH]; intros st' C H; [exact H |]. simpl.
  apply IH; [rewrite step_cfg; congruence |].
  unfold step. destruct (_ && _); [| exact H].
  set (effs := effects st' (fst e) (snd e (registers (thr st' (fst e))))).
  assert (G : forall e', In e' effs -> grants e' = false)
    by (apply grants_nothing; congruence).
  assert (O : forall t a, In (Attach t a) effs -> attachment_origin (cfg st) (attached st) t a).
  { intros t a I. destruct (attaches_origin _ _ _ _ _ I) as (h & n & T & N & F & B).
    specialize (H t). rewrite T in H. rewrite C in *. destruct H as [H1 H2]. simpl in *. split.
    - destruct F as [-> | (e1 & b & r & E & I')]; [exact H1 |].
      right. exists (fst e), e1, b, r. auto.
    - destruct B as [-> | [-> | (n1 & b & r & E & I' & R)]]; [exact H2 | right; left; reflexivity |].
      right. right. exists (fst e), n1, b, r. auto. }
  clearbody effs. clear C. revert st' H G O.
  induction effs as [| e' effs IHe]; intros st' H G O; [exact H |]. simpl.
  apply IHe; [| intros; apply G; right; assumption | intros; apply O; right; assumption].
  destruct e'; try exact H. intros t'. simpl.
  destruct (attachment_of_edit (attached st') t a t') as [[<- E] | E]; rewrite E; [| apply H].
  apply O. left. reflexivity.
Qed.

Definition attaches (e : effect) : bool := match e with Attach _ _ => true | _ => false end.

(** *** Disciplined executions

    The theorems on integrity and flow assume that a holder of a TCB capability exchanges no attachment.
    Subjects without one are not restricted, because they cannot do so anyway. *)
Definition is_tcb (c : capability) : bool := match c with CTcb _ => true | _ => false end.

Definition holds_tcb (c : config) (s : subject) : bool := existsb is_tcb (nameable c s).

Definition disciplined (c : config) (e : event) : Prop :=
  holds_tcb c (fst e) = true -> forall registers, reattaches (snd e registers) = false.

Lemma attaches_only_by_holders : forall st s o t a,
  In (Attach t a) (effects st s o) -> holds_tcb (cfg st) s = true /\ reattaches o = true.
Proof.
  intros st s o t a H. split.
  - destruct (attaches_origin _ _ _ _ _ H) as (_ & _ & _ & N & _).
    apply existsb_exists. exists (CTcb t). auto.
  - destruct o; try reflexivity; exfalso;
    unfold effects, receive, deliver, raise_irq, crash, send, cancel, take_cap in H;
    repeat match type of H with
    | context [match ?x with _ => _ end] => destruct x eqn:?
    end; simpl in H; intuition discriminate.
Qed.

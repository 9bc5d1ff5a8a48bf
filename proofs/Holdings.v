(** * What each subject holds

    Responsible for: bounds on what a subject may write and read, first for any system, by the
    capabilities that it holds; then for what Microkit makes of any description that is [mediated]
    (Clients.v), whatever the number of its clients. Nothing here is computed. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend Flow Microkit Clients.
Import ListNotations.
Local Open Scope N_scope.
Local Open Scope list_scope.

(** ** Who may write and read what, for any system *)

Section Bounds.

Variable S : system.

Let G := capabilities S.
Let B := attachments S.

Ltac part_of H :=
  repeat match type of H with
  | context [if ?x then _ else _] => destruct x eqn:?
  | _ \/ _ => destruct H as [H | H]
  | In _ (_ ++ _) => apply in_app_or in H
  | In _ (_ :: _) => destruct H as [H | H]
  | In _ (map _ _) => apply in_map_iff in H; let x := fresh in destruct H as (? & H & x)
  end; try contradiction; try discriminate.

Definition holds (s : subject) (c : capability) : Prop := In c (nameable G s).

(** What is in [alters]: by a capability, or else. *)
Lemma in_alters : forall s p, In p (alters S s) ->
  p = PThread s \/ (exists c, holds s c /\ In p (alters_by S s c)) \/
  (exists m r, In (m, r) (space G s) /\ may_write r = true /\ p = PMemory m) \/
  (exists e, In e (handler_endpoint S s) /\ p = PQueue e) \/
  (exists n, bound B s = Some n /\ p = PPending n) \/
  (exists i, In i (lines G s) /\ (p = PIrq i \/ exists n, In n (may_signal S i) /\ p = PPending n)).
Proof.
  intros s p [<- | H]; [auto |]. right.
  apply in_app_or in H. destruct H as [H | H].
  { apply in_flat_map in H. destruct H as (c & C & I). left. exists c. auto. }
  right. apply in_app_or in H. destruct H as [H | H].
  { apply in_flat_map in H. destruct H as ([m r] & C & I). left. exists m, r.
    destruct (may_write r); [| destruct I]. destruct I as [<- | []]. auto. }
  right. apply in_app_or in H. destruct H as [H | H].
  { apply in_map_iff in H. destruct H as (e & <- & I). eauto. }
  right. apply in_app_or in H. destruct H as [H | H].
  { unfold bound_part in H. fold B in H. destruct (bound B s) as [n |]; [| destruct H]. destruct H as [<- | []].
    eauto. }
  right. apply in_flat_map in H. destruct H as (i & I & [<- | H]); exists i; [auto |].
  apply in_map_iff in H. destruct H as (n & <- & N). eauto.
Qed.

Lemma in_observes : forall s p, In p (observes S s) ->
  p = PThread s \/ (exists c, holds s c /\ In p (observes_by S s c)) \/
  (exists m r, In (m, r) (space G s) /\ may_read r = true /\ p = PMemory m) \/
  (exists n, bound B s = Some n /\ p = PPending n) \/
  (exists i, In i (lines G s) /\ p = PIrq i).
Proof.
  intros s p [<- | H]; [auto |]. right.
  apply in_app_or in H. destruct H as [H | H].
  { apply in_flat_map in H. destruct H as (c & C & I). left. exists c. auto. }
  right. apply in_app_or in H. destruct H as [H | H].
  { apply in_flat_map in H. destruct H as ([m r] & C & I). left. exists m, r.
    destruct (may_read r); [| destruct I]. destruct I as [<- | []]. auto. }
  right. apply in_app_or in H. destruct H as [H | H].
  { unfold bound_part in H. fold B in H. destruct (bound B s) as [n |]; [| destruct H]. destruct H as [<- | []].
    eauto. }
  right. apply in_map_iff in H. destruct H as (i & <- & I). eauto.
Qed.

(** Whose messages or faults [s] may come to answer. *)
Definition may_answer (s t : subject) : Prop :=
  exists e b r, holds s (CEndpoint e b r) /\ may_take S s e r = true /\ In t (senders S e).

Lemma in_receives : forall s t, In t (receives_from S s) -> may_answer s t.
Proof.
  intros s t H. apply in_flat_map in H. destruct H as ([] & C & I); try destruct I.
  destruct (may_take _ _ _ _) eqn:T; [| destruct I]. exists object, badge, r. auto.
Qed.

Lemma alters_thread : forall s t, In (PThread t) (alters S s) ->
  t = s \/ holds s (CTcb t) \/ may_answer s t \/
  (exists o s', holds s (CReply o) /\ holds s' (CReply o) /\ may_answer s' t).
Proof.
  intros s t H. apply in_alters in H.
  destruct H as [H | [(c & C & I) | [(? & ? & ? & ? & H) | [(? & ? & H) | [(? & ? & H) | (? & ? & [H | (? & ? &
    H)])]]]]];
    try discriminate H; [injection H; auto |].
  right. destruct c; simpl in I; part_of I.
  - injection I as <-. right. left. exists object, badge, r. auto.
  - injection I as <-. right. left. exists object, badge, r. auto.
  - injection I as <-.
    match goal with H : In _ (callers _ _) |- _ => apply in_flat_map in H; destruct H as (s' & S' & R) end.
    destruct (holds_reply S object s') eqn:Ho; [| destruct R]. apply in_receives in R.
    apply existsb_exists in Ho. destruct Ho as (c & C' & E). destruct c; try discriminate.
    destruct (subject_eq object object0) as [<- |]; [| discriminate]. right. right. exists object, s'. auto.
  - injection I as <-. auto.
Qed.

Ltac by_parts H :=
  destruct H as [H | [(c & C & I) | [(? & ? & ? & ? & H) | [(? & ? & H) | [(? & ? & H) | (? & ? & [H | (? & ? &
    H)])]]]]];
  try discriminate.

Lemma alters_memory_only : forall s m, In (PMemory m) (alters S s) ->
  exists r, In (m, r) (space G s) /\ may_write r = true.
Proof.
  intros s m H. apply in_alters in H. by_parts H.
  - exfalso. destruct c; simpl in I; part_of I.
  - injection H as <-. eauto.
Qed.

Lemma alters_pending : forall s n, In (PPending n) (alters S s) ->
  (exists b r, holds s (CNotification n b r)) \/ bound B s = Some n \/ (exists i, In i (lines G s) /\
    In n (may_signal S i)).
Proof.
  intros s n H. apply in_alters in H. by_parts H.
  - destruct c; simpl in I; part_of I. injection I as <-. eauto.
  - injection H as <-. auto.
  - injection H as <-. eauto.
Qed.

Lemma alters_queue : forall s e, In (PQueue e) (alters S s) ->
  (exists b r, holds s (CEndpoint e b r)) \/ (exists t, holds s (CTcb t)) \/ In e (handler_endpoint S s).
Proof.
  intros s e H. apply in_alters in H. by_parts H.
  - destruct c; simpl in I; part_of I; try (injection I as <-); eauto.
  - injection H as <-. auto.
Qed.

Lemma alters_awaits : forall s o, In (PAwaits o) (alters S s) -> holds s (CReply o) \/ exists t, holds s (CTcb t).
Proof.
  intros s o H. apply in_alters in H. by_parts H.
  destruct c; simpl in I; part_of I; try (injection I as <-); eauto.
Qed.

Lemma alters_irq : forall s i, In (PIrq i) (alters S s) -> holds s (CIrqHandler i) \/ In i (lines G s).
Proof.
  intros s i H. apply in_alters in H. by_parts H.
  - destruct c; simpl in I; part_of I. injection I as <-. auto.
  - injection H as <-. auto.
Qed.

Ltac by_views H :=
  destruct H as [H | [(c & C & I) | [(? & ? & ? & ? & H) | [(? & ? & H) | (? & ? & H)]]]];
  try discriminate.

Lemma observes_thread : forall s t, In (PThread t) (observes S s) -> t = s \/ holds s (CTcb t).
Proof.
  intros s t H. apply in_observes in H. by_views H; [injection H; auto |].
  destruct c; simpl in I; part_of I. injection I as <-. auto.
Qed.

Lemma observes_memory_only : forall s m, In (PMemory m) (observes S s) ->
  exists r, In (m, r) (space G s) /\ may_read r = true.
Proof.
  intros s m H. apply in_observes in H. by_views H.
  - exfalso. destruct c; simpl in I; part_of I.
  - injection H as <-. eauto.
Qed.

Lemma observes_pending : forall s n, In (PPending n) (observes S s) ->
  (exists b r, holds s (CNotification n b r) /\ may_poll B s n = true) \/ bound B s = Some n.
Proof.
  intros s n H. apply in_observes in H. by_views H.
  - destruct c; simpl in I; part_of I. injection I as <-.
    match goal with H : _ && _ = true |- _ => apply andb_true_iff in H; destruct H end. eauto.
  - injection H as <-. auto.
Qed.

Lemma observes_queue : forall s e, In (PQueue e) (observes S s) ->
  exists b r, holds s (CEndpoint e b r) /\ may_take S s e r = true.
Proof.
  intros s e H. apply in_observes in H. by_views H.
  destruct c; simpl in I; part_of I. injection I as <-. eauto.
Qed.

Lemma observes_awaits : forall s o, In (PAwaits o) (observes S s) -> holds s (CReply o).
Proof.
  intros s o H. apply in_observes in H. by_views H.
  destruct c; simpl in I; part_of I. injection I as <-. auto.
Qed.

Lemma observes_irq : forall s i, In (PIrq i) (observes S s) -> In i (lines G s).
Proof.
  intros s i H. apply in_observes in H. by_views H.
  - exfalso. destruct c; simpl in I; part_of I.
  - injection H as <-. auto.
Qed.

Lemma in_sends_to : forall t e, In e (sends_to S t) -> (exists b r, holds t (CEndpoint e b r)) \/
  In e (handler_endpoint S t).
Proof.
  intros t e H. apply in_app_or in H. destruct H as [H | H]; [left | auto].
  apply in_flat_map in H. destruct H as ([] & C & I); try destruct I.
  destruct (may_write r); [| destruct I]. destruct I as [<- | []]. eauto.
Qed.

Lemma in_senders_of : forall t e, In t (senders S e) ->
  (exists b r, holds t (CEndpoint e b r)) \/ In e (handler_endpoint S t).
Proof.
  intros t e H. apply filter_In in H. destruct H as [_ H]. apply is_member_in in H. apply in_sends_to. assumption.
Qed.

Lemma in_may_signal : forall i n, In n (may_signal S i) ->
  (exists b, In (i, (n, b)) (initial_irqs S)) \/
  (exists s b r, holds s (CIrqHandler i) /\ holds s (CNotification n b r)).
Proof.
  intros i n H. apply in_app_or in H. destruct H as [H | H].
  - apply in_flat_map in H. destruct H as ([i' [n' b]] & I & H).
    destruct (i =? i') eqn:E; [| destruct H]. apply N.eqb_eq in E. destruct H as [<- | []]. left. exists b.
      congruence.
  - apply in_flat_map in H. destruct H as (s & _ & H). destruct (holds_irq S i s) eqn:Ho; [| destruct H].
    apply existsb_exists in Ho. destruct Ho as (c & C & E). destruct c; try discriminate. apply N.eqb_eq in E. subst.
    apply in_flat_map in H. destruct H as ([] & C' & H); try destruct H.
    destruct (may_write r); [| destruct H]. destruct H as [<- | []]. right. exists s, badge, r. auto.
Qed.

End Bounds.

(** ** The three kinds of CNode that Microkit makes *)

Lemma reachable_root : forall c s, reachable depth c (root_of s) word_bits =
  flat_map (fun '(_, x) => match x with CCNode _ _ _ _ => reachable 63 c x 58 | _ => [x] end) (slots c (Root s)).
Proof. reflexivity. Qed.

Lemma reachable_inner : forall c s, reachable 63 c (inner_of s) 58 = map snd (slots c (Inner s)).
Proof.
  intros c s. change (reachable 63 c (inner_of s) 58) with (flat_map (fun '(_, x) => [x]) (slots c (Inner s)) : list
    capability).
  induction (slots c (Inner s)) as [| [i x] l IH]; [reflexivity |]. simpl. rewrite IH. reflexivity.
Qed.

Lemma reachable_monitor : forall c, reachable depth c monitor_root word_bits = map snd (slots c (Root Monitor)).
Proof.
  intros c. change (reachable depth c monitor_root word_bits)
    with (flat_map (fun '(_, x) => [x]) (slots c (Root Monitor)) : list capability).
  induction (slots c (Root Monitor)) as [| [i x] l IH]; [reflexivity |]. simpl. rewrite IH. reflexivity.
Qed.

(** ** What Microkit gives to whom, for any description without extra capabilities *)

(** So that nothing computes badges. *)
Local Opaque fault_badge call_badge N.pow.

Section Holdings.

Variable d : description.
Variable board : wiring.
Variable first : list subject.
Hypothesis Mediated : mediated d board.

Let S := microkit_with d board first.
Let G := capabilities S.
Let B := attachments S.

Lemma one_of_a_name : forall p q, In p (domains d) -> In q (domains d) -> pd_name p = pd_name q -> p = q.
Proof.
  pose proof (names_once _ _ Mediated) as N. induction (domains d) as [| x l IH]; simpl; intros p q P Q E;
    [contradiction |].
  inversion N as [| ? ? N1 N2]; subst.
  destruct P as [<- | P]; destruct Q as [<- | Q]; auto.
  - exfalso. apply N1. rewrite E. apply in_map. assumption.
  - exfalso. apply N1. rewrite <- E. apply in_map. assumption.
Qed.

Lemma in_numbered : forall A (l : list A) n k x, In (k, x) (numbered n l) -> In x l.
Proof. induction l as [| y l IH]; simpl; intros n k x H; [auto |]. destruct H as [H | H]; [left; congruence | eauto].
  Qed.

Lemma same_second : forall A B (a a' : A) (b b' : B), (a, b) = (a', b') -> b = b'.
Proof. congruence. Qed.

(** The capabilities in a domain's CNode. *)
Inductive domain_cap (p : protection_domain) : capability -> Prop :=
  | has_input : domain_cap p (input_cap d p)
  | has_fault : forall k, domain_cap p (fault_cap k p)
  | has_vspace : domain_cap p (CVSpace (Pd (pd_name p)))
  | has_reply : domain_cap p (CReply (Pd (pd_name p)))
  | has_channel : forall a b, In (a, b) (ends d) -> end_pd a = pd_name p ->
      domain_cap p (CNotification (Pd (end_pd b)) (2 ^ end_id b) read_write)
  | has_call : forall a b, In (a, b) (ends d) -> end_pd a = pd_name p -> end_pp a = true ->
      domain_cap p (CEndpoint (Pd (end_pd b)) (N.lor call_badge (end_id b)) all)
  | has_handler : forall i, has_irq p i = true -> domain_cap p (CIrqHandler i)
  | has_child : forall q i, In q (domains d) -> pd_parent q = Some (pd_name p, i) ->
    domain_cap p (CTcb (Pd (pd_name q))).

Inductive monitor_cap : capability -> Prop :=
  | monitors_endpoint : monitor_cap (CEndpoint Monitor 0 all)
  | monitors_reply : monitor_cap (CReply Monitor)
  | monitors_tcb : forall q, In q (domains d) -> monitor_cap (CTcb (Pd (pd_name q))).

Lemma no_extra : forall id, extras_in d id = [].
Proof. intros id. unfold extras_in. rewrite (no_extras _ _ Mediated). reflexivity. Qed.

Lemma in_inner : forall k p i c, In p (domains d) ->
  In (i, c) ([ (input_slot, input_cap d p); (fault_slot, fault_cap k p); (vspace_slot, CVSpace (Pd (pd_name p)));
     (reply_slot, CReply (Pd (pd_name p))) ] ++ channel_caps d p ++ irq_caps p ++ child_caps d p ++ extras_in d
       (Inner (Pd (pd_name p)))) ->
  domain_cap p c.
Proof.
  intros k p i c P H. rewrite no_extra, app_nil_r in H.
  apply in_app_or in H. destruct H as [H | H].
  { destruct H as [H | [H | [H | [H | []]]]]; apply same_second in H; rewrite <- H; constructor. }
  apply in_app_or in H. destruct H as [H | H].
  { unfold channel_caps in H. apply in_flat_map in H. destruct H as ([a b] & I & H).
    destruct (same_name (end_pd a) (pd_name p)) eqn:E; [| destruct H]. apply same_name_eq in E.
    apply in_app_or in H. destruct H as [H | H].
    - destruct (end_notify a); [| destruct H]. destruct H as [H | []].
      apply same_second in H. rewrite <- H. econstructor; eassumption.
    - destruct (end_pp a) eqn:Pp; [| destruct H]. destruct H as [H | []].
      apply same_second in H. rewrite <- H. econstructor; eassumption. }
  apply in_app_or in H. destruct H as [H | H].
  { unfold irq_caps in H. apply in_map_iff in H. destruct H as (x & E & I). injection E as <- <-.
    constructor. apply in_irq_of. eauto. }
  unfold child_caps in H. apply in_flat_map in H. destruct H as (q & Q & H).
  destruct (pd_parent q) as [[n j] |] eqn:E; [| destruct H].
  destruct (same_name n (pd_name p)) eqn:N; [| destruct H]. apply same_name_eq in N. subst n.
  destruct H as [H | []].
      apply same_second in H. rewrite <- H. econstructor; eassumption.
Qed.

(** What a CNode holds. *)
Lemma in_slots : forall id i c, In (i, c) (slots G id) ->
  (exists p, In p (domains d) /\ id = Root (Pd (pd_name p)) /\ c = inner_of (Pd (pd_name p))) \/
  (exists p, In p (domains d) /\ id = Inner (Pd (pd_name p)) /\ domain_cap p c) \/
  (id = Root Monitor /\ monitor_cap c).
Proof.
  intros id i c H. unfold slots in H. destruct (find_key _ _ _) as [l |] eqn:F; [| destruct H].
  apply find_key_in in F.
  change (cnodes G) with (flat_map (fun '(k, p) => domain_cnodes d k p) (domain_numbers d) ++ [monitor_cnode d]) in F.
  apply in_app_or in F. destruct F as [F | [F | []]].
  - apply in_flat_map in F. destruct F as ([k p] & P & F). apply in_numbered in P.
    destruct F as [F | [F | []]]; apply pair_equal_spec in F; destruct F as [<- <-].
    + left. rewrite no_extra in H. destruct H as [H | []]. apply same_second in H. rewrite <- H. eauto.
    + right. left. exists p. repeat split; auto. eapply in_inner; eassumption.
  - apply pair_equal_spec in F. destruct F as [<- <-]. right. right. split; [reflexivity |].
    rewrite no_extra, app_nil_r in H. destruct H as [H | [H | H]].
    + apply same_second in H. rewrite <- H. constructor.
    + apply same_second in H. rewrite <- H. constructor.
    + apply in_map_iff in H. destruct H as ([k q] & E & Q). apply in_numbered in Q. apply same_second in E.
      rewrite <- E. constructor. assumption.
Qed.

Lemma in_threads : forall s b, In (s, b) (threads G) ->
  (exists p, In p (domains d) /\ s = Pd (pd_name p) /\ cspace_root b = Some (root_of s) /\ vspace_root b = Some s /\
    raises b = []) \/
  (s = Monitor /\ cspace_root b = Some monitor_root /\ vspace_root b = Some s /\ raises b = []) \/
  (exists r, In r (devices d) /\ s = Device r /\ cspace_root b = None /\ vspace_root b = Some s /\
    raises b = wired board r) \/
  (exists i, In i (unwired d board) /\ s = Line i /\ cspace_root b = None /\ vspace_root b = None /\ raises b = [i]).
Proof.
  intros s b H.
  change (threads G) with (map domain_binding (domains d)
    ++ [(Monitor, {| cspace_root := Some monitor_root; vspace_root := Some Monitor; raises := [] |})]
    ++ map (fun r => (Device r, {| cspace_root := None; vspace_root := Some (Device r);
      raises := wired board r |})) (devices d)
    ++ map (fun i => (Line i, {| cspace_root := None; vspace_root := None; raises := [i] |})) (unwired d board)) in H.
  apply in_app_or in H. destruct H as [H | H].
  { left. apply in_map_iff in H. destruct H as (p & E & P). injection E as <- <-. simpl. eauto 10. }
  apply in_app_or in H. destruct H as [[H | []] | H].
  { right. left. injection H as <- <-. simpl. auto. }
  apply in_app_or in H. right. right. destruct H as [H | H]; apply in_map_iff in H; destruct H as (x & E & I);
    injection E as <- <-; simpl; [left | right]; eauto 10.
Qed.

(** All that a subject holds. *)
Lemma holds_cases : forall s c, holds S s c ->
  (exists p, In p (domains d) /\ s = Pd (pd_name p) /\ domain_cap p c) \/ (s = Monitor /\ monitor_cap c).
Proof.
  intros s c H. unfold holds, nameable in H. fold G in H.
  destruct (find_key subject_eq s (threads G)) as [b |] eqn:F; [| destruct H].
  apply find_key_in in F. apply in_threads in F.
  destruct F as [(p & P & -> & R & _) | [(-> & R & _) | [(r & _ & _ & R & _) | (i & _ & _ & R & _)]]]; rewrite R in H;
    try destruct H.
  - left. exists p. split; [assumption |]. split; [reflexivity |].
    rewrite reachable_root in H.
    apply in_flat_map in H. destruct H as ([i x] & I & H). apply in_slots in I.
    destruct I as [(q & Q & E & ->) | [(q & _ & E & _) | (E & _)]]; try discriminate E. injection E as E.
    change (match inner_of (Pd (pd_name q)) with CCNode _ _ _ _ => reachable 63 G (inner_of (Pd (pd_name q))) 58 | x
      => [x] end)
      with (reachable 63 G (inner_of (Pd (pd_name q))) 58) in H.
    rewrite reachable_inner in H.
    apply in_map_iff in H. destruct H as ([j y] & <- & J). apply in_slots in J.
    destruct J as [(q' & _ & E' & _) | [(q' & Q' & E' & C) | (E' & _)]]; try discriminate E'. injection E' as E'.
    assert (X : q' = p) by (apply one_of_a_name; [assumption | assumption | congruence]). subst q'. exact C.
  - right. split; [reflexivity |]. rewrite reachable_monitor in H.
    apply in_map_iff in H. destruct H as ([i x] & <- & I). apply in_slots in I.
    destruct I as [(q & _ & E & _) | [(q & _ & E & _) | (E & C)]]; try discriminate E. exact C.
Qed.

(** *** What the conditions say of it *)

Definition compartment (p : protection_domain) : Prop := In p (domains d) /\ pd_name p <> mediator.

Lemma ordered : forall p, compartment p -> in_order d board p.
Proof. intros p [P N]. apply (each_in_order _ _ Mediated); assumption. Qed.

Lemma parents : forall q n i, In q (domains d) -> pd_parent q = Some (n, i) -> pd_name q = server /\ n = mediator.
Proof.
  intros q n i Q E. destruct (string_dec (pd_name q) mediator) as [M | M].
  - rewrite (its_own_parent _ _ Mediated q Q M) in E. discriminate.
  - pose proof (its_parent _ _ _ (ordered q (conj Q M))) as P. rewrite E in P. exact P.
Qed.

Lemma parentless : forall q, In q (domains d) -> pd_parent q = None -> pd_name q <> server.
Proof.
  intros q Q E. destruct (string_dec (pd_name q) mediator) as [M | M]; [rewrite M; discriminate |].
  pose proof (its_parent _ _ _ (ordered q (conj Q M))) as P. rewrite E in P. exact P.
Qed.

Lemma ends_both_ways : forall a b, In (a, b) (ends d) -> In (b, a) (ends d).
Proof.
  intros a b H. apply in_flat_map in H. destruct H as (c & C & [H | [H | []]]); injection H as <- <-;
    apply in_flat_map; exists c; simpl; auto.
Qed.

Lemma peers : forall p a b, compartment p -> In (a, b) (ends d) -> end_pd a = pd_name p ->
  end_pd b = mediator /\ end_pp a = false /\ end_pp b = false.
Proof.
  intros p a b P I E. destruct (its_channel _ _ _ (ordered p P)) as (a' & b' & L & M & Pa & Pb).
  assert (H : In (a, b) (ends_of d p)) by (apply filter_In; split; [assumption | apply same_name_eq; assumption]).
  rewrite L in H. destruct H as [H | []]. injection H as <- <-. auto.
Qed.

Lemma no_procedure : forall a b, In (a, b) (ends d) -> end_pp a = false.
Proof.
  intros a b I. destruct (ends_known _ _ Mediated a b I) as (p & P & N).
  destruct (string_dec (pd_name p) mediator) as [M | M].
  - apply ends_both_ways in I. destruct (ends_known _ _ Mediated b a I) as (q & Q & N').
    assert (C : compartment q).
    { split; [assumption |]. rewrite N'. apply (no_loop _ _ Mediated a b); [apply ends_both_ways;
      assumption | congruence]. }
    destruct (peers q b a C I (eq_sym N')) as (_ & _ & H). exact H.
  - destruct (peers p a b (conj P M) I (eq_sym N)) as (_ & H & _). exact H.
Qed.

Lemma endpoint_is_mediators : forall p, In p (domains d) -> has_endpoint d p = true -> pd_name p = mediator.
Proof.
  intros p P H. unfold has_endpoint in H. apply orb_true_iff in H. destruct H as [H | H];
    apply existsb_exists in H.
  - destruct H as (q & Q & E). unfold is_child_of in E. destruct (pd_parent q) as [[n i] |] eqn:Pa; [| discriminate].
    apply same_name_eq in E. destruct (parents _ _ _ Q Pa) as [_ M]. congruence.
  - destruct H as ([a b] & I & E). rewrite (no_procedure a b I) in E. discriminate.
Qed.

(** Of whom the monitor and the mediator receive. *)
Definition outer (t : subject) : Prop := t = Monitor \/ exists p, In p (domains d) /\ t = Pd (pd_name p) /\
  pd_name p <> server.

Definition reaches_endpoint (t e : subject) : Prop :=
  (e = Monitor /\ outer t) \/ (e = Pd mediator /\ (t = Pd mediator \/ t = Pd server)).

Lemma fault_endpoint : forall k p e b r, In p (domains d) -> fault_cap k p = CEndpoint e b r ->
  reaches_endpoint (Pd (pd_name p)) e.
Proof.
  intros k p e b r P H. unfold fault_cap in H. destruct (pd_parent p) as [[n i] |] eqn:E; injection H as <- _ _.
  - destruct (parents _ _ _ P E) as [-> ->]. right. auto.
  - left. split; [reflexivity |]. right. exists p. repeat split; auto. apply parentless; assumption.
Qed.

Lemma held_endpoint : forall s e b r, holds S s (CEndpoint e b r) -> reaches_endpoint s e.
Proof.
  intros s e b r H. apply holds_cases in H. destruct H as [(p & P & -> & H) | [-> H]].
  - inversion H as [I | k I | | | | a b' I E Pp | |]; subst.
    + unfold input_cap in I. destruct (has_endpoint d p) eqn:E; [| discriminate].
      apply endpoint_is_mediators in E; [| assumption]. injection I as <- _ _. rewrite E. right. auto.
    + eapply fault_endpoint; eassumption.
    + rewrite (no_procedure _ _ I) in Pp. discriminate.
  - inversion H. left. split; [reflexivity | left; reflexivity].
Qed.

Lemma in_attachments : forall t a, In (t, a) B -> exists p k, In p (domains d) /\ t = Pd (pd_name p) /\
  fault_handler a = Some (fault_cap k p) /\ bound_notification a = Some (Pd (pd_name p)).
Proof.
  intros t a H. apply in_map_iff in H. destruct H as ([k p] & E & P). apply in_numbered in P.
  apply pair_equal_spec in E. destruct E as [<- <-]. exists p, k. auto.
Qed.

Lemma handlers : forall t e, In e (handler_endpoint S t) -> reaches_endpoint t e.
Proof.
  intros t e H. unfold handler_endpoint, attachment_of in H. fold B in H.
  destruct (find_key subject_eq t B) as [a |] eqn:F; [| destruct H].
  apply find_key_in in F. apply in_attachments in F. destruct F as (p & k & P & -> & F & _). rewrite F in H.
  destruct (fault_cap k p) eqn:E; try destruct H; [| contradiction]. subst. eapply fault_endpoint; eassumption.
Qed.

Lemma senders_reach : forall t e, In t (senders S e) -> reaches_endpoint t e.
Proof.
  intros t e H. apply in_senders_of in H. destruct H as [(b & r & H) | H]; [eapply held_endpoint;
    eassumption | apply handlers; assumption].
Qed.

Lemma bound_to : forall s n, bound B s = Some n -> n = s.
Proof.
  intros s n H. unfold bound, attachment_of in H. destruct (find_key subject_eq s B) as [a |] eqn:F; [| discriminate].
  apply find_key_in in F. apply in_attachments in F. destruct F as (p & k & _ & -> & _ & F). congruence.
Qed.

Lemma numbered_in : forall A (l : list A) n x, In x l -> exists k, In (k, x) (numbered n l).
Proof.
  induction l as [| y l IH]; simpl; intros n x H; [contradiction |].
  destruct H as [<- | H]; [eauto |]. destruct (IH (n + 1) x H) as (k & K). eauto.
Qed.

Lemma polled_by_its_own : forall s q, In q (domains d) -> may_poll B s (Pd (pd_name q)) = true -> s = Pd (pd_name q).
Proof.
  intros s q Q H. unfold may_poll in H. rewrite forallb_forall in H.
  destruct (numbered_in _ (domains d) 0 q Q) as (k & K).
  assert (I : In (Pd (pd_name q), {| fault_handler := Some (fault_cap k q);
    bound_notification := Some (Pd (pd_name q)) |}) B).
  { apply in_map_iff. exists (k, q). auto. }
  specialize (H _ I). unfold is_bound_to in H. cbn [bound_notification] in H.
  destruct (subject_eq (Pd (pd_name q)) (Pd (pd_name q))); [cbn [negb orb] in H | congruence].
  destruct (subject_eq (Pd (pd_name q)) s); [congruence | discriminate].
Qed.

Lemma held_notification : forall s n b r, holds S s (CNotification n b r) ->
  exists p, In p (domains d) /\ s = Pd (pd_name p) /\
  (n = s \/ exists a c, In (a, c) (ends d) /\ end_pd a = pd_name p /\ n = Pd (end_pd c) /\ b = 2 ^ end_id c).
Proof.
  intros s n b r H. apply holds_cases in H. destruct H as [(p & P & -> & H) | [-> H]]; [| inversion H].
  exists p. split; [assumption |]. split; [reflexivity |].
  inversion H as [I | k I | | | a c I E | | |].
  - unfold input_cap in I. destruct (has_endpoint d p); [discriminate |]. injection I as <- _ _. auto.
  - unfold fault_cap in I. destruct (pd_parent p) as [[]|]; discriminate I.
  - right. exists a, c. auto.
Qed.

Lemma known_notification : forall s n b r, holds S s (CNotification n b r) ->
  exists q, In q (domains d) /\ n = Pd (pd_name q).
Proof.
  intros s n b r H. apply held_notification in H. destruct H as (p & P & -> & [-> | (a & c & I & _ & -> & _)]);
    [eauto |].
  apply ends_both_ways in I. destruct (ends_known _ _ Mediated _ _ I) as (q & Q & E). exists q.
    split; [assumption | congruence].
Qed.

(** A capability that is neither a notification's nor an endpoint's comes from one of the other slots. *)
Ltac from_slot H :=
  inversion H; subst;
    try match goal with
    | E : input_cap _ _ = _ |- _ => unfold input_cap in E; destruct (has_endpoint _ _); discriminate E
    | E : fault_cap _ _ = _ |- _ => unfold fault_cap in E; destruct (pd_parent _) as [[] |]; discriminate E
    end.

Lemma held_reply : forall s o, holds S s (CReply o) -> o = s.
Proof.
  intros s o H. apply holds_cases in H. destruct H as [(p & P & -> & H) | [-> H]]; [from_slot H | inversion H]; auto.
Qed.

(** The monitor holds every domain's TCB, the mediator the server's. *)
Lemma held_tcb : forall s t, holds S s (CTcb t) ->
  (exists q, In q (domains d) /\ t = Pd (pd_name q)) /\ (s = Monitor \/ (s = Pd mediator /\ t = Pd server)).
Proof.
  intros s t H. apply holds_cases in H. destruct H as [(p & P & -> & H) | [-> H]]; [from_slot H | inversion H; subst;
    eauto].
  match goal with E : pd_parent _ = _ |- _ => destruct (parents q _ _ ltac:(assumption) E) as [Sv M] end.
  split; [eauto |]. right. rewrite M, Sv. auto.
Qed.

Lemma held_irq : forall s i, holds S s (CIrqHandler i) -> exists p, In p (domains d) /\ s = Pd (pd_name p) /\
  has_irq p i = true.
Proof.
  intros s i H. apply holds_cases in H. destruct H as [(p & P & -> & H) | [-> H]]; [from_slot H; eauto | inversion H].
Qed.

Lemma in_space : forall s m r, In (m, r) (space G s) ->
  (exists p, In p (domains d) /\ s = Pd (pd_name p) /\
     (m = Private s \/ exists x, In x (pd_maps p) /\ m = Shared (map_region x) /\ r = map_rights d x)) \/
  (s = Monitor /\ m = Private s) \/
  (exists x, In x (devices d) /\ s = Device x /\ m = Shared x).
Proof.
  intros s m r H. unfold space in H. destruct (find_key subject_eq s (threads G)) as [b |] eqn:F; [| destruct H].
  apply find_key_in in F. apply in_threads in F.
  assert (V : vspace_root b = Some s \/ vspace_root b = None).
  { destruct F as [(p & _ & _ & _ & V & _) | [(_ & _ & V & _) | [(x & _ & _ & _ & V & _) | (i & _ & _ & _ & V &
    _)]]]; auto. }
  destruct V as [V | V]; rewrite V in H; [| destruct H]. clear V F.
  unfold mappings_of in H. destruct (find_key subject_eq s (vspaces G)) as [l |] eqn:F; [| destruct H].
  apply find_key_in in F.
  change (vspaces G) with (map (fun p => (Pd (pd_name p), domain_space d p)) (domains d)
    ++ [(Monitor, [(Private Monitor, read_write)])] ++ map (fun r => (Device r, [(Shared r, read_write)])) (devices
      d)) in F.
  apply in_app_or in F. destruct F as [F | F]; [| apply in_app_or in F; destruct F as [[F | []] | F]].
  - apply in_map_iff in F. destruct F as (p & E & P). apply pair_equal_spec in E. destruct E as [<- <-].
    left. exists p. split; [assumption |]. split; [reflexivity |]. destruct H as [H | H].
    + injection H as <- _. auto.
    + apply in_map_iff in H. destruct H as (x & E & X). injection E as <- <-. right. eauto.
  - apply pair_equal_spec in F. destruct F as [<- <-]. right. left. destruct H as [H | []]. injection H as <- _. auto.
  - apply in_map_iff in F. destruct F as (x & E & X). apply pair_equal_spec in E. destruct E as [<- <-].
    right. right. destruct H as [H | []]. injection H as <- _. eauto.
Qed.

Lemma in_lines : forall s i, In i (lines G s) ->
  (exists r, In r (devices d) /\ s = Device r /\ is_wired board r i = true) \/ (s = Line i /\ In i (unwired d board)).
Proof.
  intros s i H. unfold lines in H. destruct (find_key subject_eq s (threads G)) as [b |] eqn:F; [| destruct H].
  apply find_key_in in F. apply in_threads in F.
  destruct F as [(p & _ & _ & _ & _ & R) | [(_ & _ & _ & R) | [(x & X & -> & _ & _ & R) | (j & J & ->
    & _ & _ & R)]]]; rewrite R in H;
    try destruct H.
  - left. exists x. rewrite in_wired. auto.
  - subst. auto.
  - contradiction.
Qed.

Lemma unwired_line : forall i r, In i (unwired d board) -> In r (devices d) -> is_wired board r i = false.
Proof.
  intros i r I R. apply filter_In in I. destruct I as [_ I]. apply negb_true_iff in I. apply not_true_iff_false.
    intros W.
  apply not_true_iff_false in I. apply I. apply existsb_exists. exists r. auto.
Qed.

Lemma signalled : forall i n, In n (may_signal S i) -> exists p, In p (domains d) /\ has_irq p i = true /\
  (n = Pd (pd_name p) \/ exists b r, holds S (Pd (pd_name p)) (CNotification n b r)).
Proof.
  intros i n H. apply in_may_signal in H. destruct H as [(b & H) | (s & b & r & H & N)].
  - change (initial_irqs S) with (flat_map (fun p => map (fun i => (irq_number i, (Pd (pd_name p), 2 ^ irq_id i)))
    (pd_irqs p)) (domains d)) in H.
    apply in_flat_map in H. destruct H as (p & P & H). apply in_map_iff in H. destruct H as (x & E & X).
    apply pair_equal_spec in E. destruct E as [E1 E2]. apply pair_equal_spec in E2. destruct E2 as [<- _].
    exists p. split; [assumption |]. split; [apply in_irq_of; eauto | auto].
  - apply held_irq in H. destruct H as (p & P & -> & I). exists p. repeat split; auto. right. eauto.
Qed.

End Holdings.

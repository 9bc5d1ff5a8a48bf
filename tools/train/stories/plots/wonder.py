"""Something strange or wonderful is found by looking closely."""

from ..story import Plot

PLOTS = [
    Plot(
        "treasure map",
        cast={"A": "child", "G": "grandparent", "B": "other"},
        sky="sun",
        variants=(
            {"first": "ten steps from the well", "second": "where the shadow of the tree ends", "third": "under the stone with a white stripe", "treasure": "a tin box with two whistles in it", "note": "One is for you, and one is for your best friend"},
            {"first": "twenty steps from the gate", "second": "between the two apple trees", "third": "under the blue flower pot", "treasure": "a jar full of chocolate coins", "note": "Treasure tastes best when it is shared"},
            {"first": "seven big steps from the barn", "second": "where the path makes a turn", "third": "inside the hollow log", "treasure": "a spy glass that could be pulled out", "note": "Now look for a treasure of your own"},
            {"first": "fifteen steps from the bridge", "second": "in front of the old wall", "third": "behind the loose brick", "treasure": "a small wooden ship with a red sail", "note": "I hid this when I was six"},
        ),
        text="""
{A} was visiting {G.name} for the summer. There were no other children in the house, and {A} was bored. {A} wished for an adventure.
/ It was the third week of summer, and {A} had read all {A.his} books. "Nothing ever happens here," {A.he} said to {G.name}.

{day}, a piece of paper fell out of an old book. It was a map! In one corner stood: {v.first}.
/ {day}, {A} found a folded paper under {A.his} plate. {A} opened it. It was a map, and on it was written: {v.first}.

Outside, {A} met {B.name}, {B.who} from the farm next door. "Can I come too?" {B.asked}. "I know every stone around here."
/ {A} could not read all of it. So {A.he} asked {B.name}, {B.who} from across the road. "I have never seen a real map," {B.said}. "Let us go!"

They counted the steps, {v.first}. There was nothing but grass. "Your steps are too long," {B.said}. They counted again. This time they found a bottle with another note. It said: {v.second}.
/ They started {v.first} and found a note under a leaf. The next place was {v.second}.

They went there. They dug a hole. They dug another hole. {A} was hot and tired. "It is only a joke," {A.said}, and threw down the spade.
/ The second place was harder to find. They looked until the sun was low. "I give up," {A.said}. "There is no treasure."

"Let me see the map once more," {B.said}, and turned it over. There was something on the back, in very small letters: {v.third}!
/ {B.name} held the map up against the light. Now they could see more words, as thin as threads: {v.third}. "We did not look closely," {B.said}.

They ran. And there, {v.third}, it was: {v.treasure}. Beside it lay a note. "{v.note}," it said.
/ {v.third} there was something hard. {A} pulled it out with both hands. It was {v.treasure}! And there was a note: "{v.note}."

"<hooray>!" they shouted, so loud that the hens ran away.
/ {A} and {B.name} looked at each other. Then they both began to dance.

{G} was sitting on the porch and did not look surprised at all. {G} had dirt on {G.his} shoes. {A} looked at the shoes and smiled. "Thank you," {A.he} said. "For what?" {G.asked}, and winked.
/ "Where have you been?" {G.asked}. "On an adventure," {A.said}, and showed {G.him} {v.treasure}. "Well, well," {G.said}. The handwriting on the map looked very much like {G.his} own.

The next day, {A} did not say that nothing ever happened. {A.He} sat with {B.name} under a tree, and they were drawing a map.
/ When the summer was over, {A} packed {v.treasure} and the old map. And under {G.s} pillow {A.he} left a new one.
""",
    ),
    Plot(
        "wish on a star",
        cast={"A": "child", "B": "other", "M": "grownup"},
        sky="night",
        variants=(
            {"wish": "a friend", "hear": "somebody crying", "why": "we have just moved here, and I do not know anybody"},
            {"wish": "somebody to play chess with", "hear": "somebody talking to a chess board", "why": "I always have to play against myself"},
            {"wish": "somebody who liked frogs", "hear": "a croak that did not sound quite right", "why": "I am trying to talk to the frogs, and nobody answers"},
            {"wish": "somebody who was awake at night", "hear": "somebody who was counting out loud", "why": "I can never sleep, so I count the windows that have a light"},
        ),
        text="""
{A} sat at the window and looked at the sky. There was something that {A.he} wanted very much: {a.wish}.
/ Every evening, {A} looked for the first star and made a wish. It was always the same. {A} wished for {a.wish}.

"Do wishes come true?" {A} asked {M.name} {day}. "Sometimes," {M.said}. "But you must leave the door open for them."
/ {day}, {A} said to {M.name}, "My star is not working." {M} laughed softly. "A star can only shine," {M.said}. "The walking you have to do yourself."

{A} did not understand that. {A.He} went to bed. But then {A.he} heard something through the open window. It was {v.hear}.
/ {A} thought about it in bed. What did it mean? Then there was a sound outside. {A} sat up. It was {v.hear}.

It came from the balcony next door. {A} wanted to know who it was, but {A.he} was shy. {A.He} could close the window. Or {A.he} could say something.
/ {A} put one foot on the floor. It was dark. It would be much easier to stay in bed. But {A.he} remembered what {M.name} had said.

"<hello>?" {A.said} into the dark. Everything was still. Then a voice answered. "Who is there?" It was {B.plain}.
/ So {A} leaned out and called, "<hello>!" For a moment there was nothing. Then a head came up behind the wall, and it belonged to {B.plain}.

"What are you doing?" {A.asked}. "Well," {B.said}, "{v.why}." {A} began to smile.
/ "Did I wake you?" {B.name} asked. "It is just that {v.why}." {A} could hardly believe it.

They talked until the moon was over the roof. They found out that they both liked peanut butter, and that they both could not whistle.
/ After that, they told each other everything, the way one does in the dark. {B.name} was {A.s} age, and {B.he} had a wish too.

"Do you know what I wished for?" {A.asked}. "For {a.wish}." {B.name} was quiet. "That is funny," {B.said}. "So did I."
/ Just then, a star fell, right over the two balconies. "Quick, make a wish!" {B.said}. {A} <thought>. "I don't need one," {A.he} said.

In the morning, {A} told {M.name} that the star had worked. "And did you leave the door open?" {M.asked}. "It was the window," {A.said}.
/ Between the two balconies there is a string now, with a can at each end. And every evening, when the first star comes out, one can says to the other one, "Are you there?"
""",
    ),
    Plot(
        "attic noise",
        cast={"A": "child", "M": "parent", "L": "little"},
        sky="night",
        variants=(
            {"sound": "Hoo, hoo", "was": "three baby owls in an old hat box", "left": "the hat box", "thanks": "one soft white feather"},
            {"sound": "Mew, mew", "was": "a gray cat with four kittens on a pile of curtains", "left": "the old curtains", "thanks": "a paw print in the dust, like a flower"},
            {"sound": "Rustle, rustle", "was": "a family of bats that hung from the beam like little umbrellas", "left": "the beam in the corner", "thanks": "a summer without a single fly"},
            {"sound": "Chirp, chirp", "was": "a nest of swallows on top of the old clock", "left": "the top of the clock", "thanks": "a song every morning"},
        ),
        text="""
There was a noise in the attic. It came every night, just when {A} was falling asleep. "{v.sound}," it went.
/ Every evening, {A} heard something over {A.his} bed. "{v.sound}," it went, up in the attic.

"It is a ghost," said {A.s} {L.kind}, {L.name}. {A} did not believe in ghosts, at least not in the daytime. But {A.he} wanted to know.
/ {A} told {A.his} {L.kind} {L.name} about it. That was a mistake, for now {L.name} was afraid to go to sleep. "I will find out what it is," {A.said}.

{day}, they took a lamp and climbed up the ladder, step by step. It was dusty, and it smelled of old books.
/ {day}, {A} put on slippers and took a lamp. "I am coming too," {L.said}, and held on to {A.s} shirt. They opened the little door. Everything was black.

"{v.sound}!" Something moved in the corner. {L.name} screamed. {A} dropped the lamp, and it went out.
/ They stood still and listened. "{v.sound}!" It was very close. {A.s} knees turned to water, but {A.he} held {L.s} hand.

"Let us run!" {L} whispered. {A} wanted to run too. But then {A.he} thought, "It sounds more afraid than we are."
/ Neither of them dared to move. "Listen," {A.said} at last. "That is not a big sound. That is a small one."

{A} found the lamp and turned it on again. {A.He} held it low, so that it would not shine in anybody's eyes. And there they saw {v.was}.
/ Slowly {A} lifted a cloth. And then both of them said, "Oh!" For there, looking up at them, was what had made the noise: {v.was}.

"They live here!" {L} whispered. "They were here first," {A.said}. They sat down on a trunk and watched for a long time.
/ {L.name} forgot to be afraid. "They are so small," {L.he} said. {A} put a finger on {A.his} lips, and they sat as still as two boxes.

In the morning, they told {M.name}. "I wanted to clean up the attic this week," {M.said}. Two pairs of eyes looked at {M.him}. "But I suppose it can wait until the fall."
/ "May they stay?" {A} asked {M.name} at breakfast. "We will be very quiet." {M} thought about it. "Then nobody goes up there with a broom," {M.said}, "until they are big."

Nobody touched {v.left} all summer. And at night, when it went "{v.sound}," {A} and {L.name} smiled in their beds.
/ They left {v.left} just as it was. The noise came every night, and now it helped {A.name} to fall asleep.

In the fall, {A} climbed up with the lamp again. The attic was empty. But the guests had left something behind to say thank you. It was {v.thanks}.
/ Then, one night, it was still. {A} looked with the lamp, but they had gone. {A} was a little sad. But they had given the house a present: {v.thanks}.
""",
    ),
    Plot(
        "end of the rainbow",
        cast={"A": "child", "L": "little"},
        sky="rain",
        variants=(
            {"end": "the pond", "found": "a little green frog that sat in the colors", "keep": "the frog"},
            {"end": "the bakery", "found": "a tray of buns with sugar that shone in every color", "keep": "the buns"},
            {"end": "the old oak", "found": "a spider web full of drops, and each drop had a rainbow in it", "keep": "the web"},
            {"end": "their own house", "found": "their own window, shining like gold in the sun", "keep": "the window"},
        ),
        text="""
{A} had heard that there is a treasure at the end of the rainbow. {A} wanted to find it, and {A.his} {L.kind} {L.name} wanted to come too.
/ "At the end of the rainbow is a pot of gold," {A} told {A.his} {L.kind} {L.name}. "One day we will go and get it."

{day}, the rain stopped, and there it was! It was the biggest rainbow that they had ever seen. "It ends behind the hill!" {A.cried}. "Get your boots!"
/ {day}, it rained and the sun shone at the same time. "Look!" {L.cried}. A rainbow stood over the town, and one end of it came down behind the hill.

They ran up the hill. But when they got to the top, the rainbow was behind the next hill. They ran down and up again. It had moved.
/ They ran through the wet grass. But the faster they ran, the farther away it was. "It is running too," {L.said}.

"My feet hurt," {L.said}. {L} sat down on a stone. The colors were getting pale. {A} was <upset>. "We almost had it!" {A.he} said.
/ They ran until {L.name} could not run any more. And then, bit by bit, the rainbow faded. "It is gone," {A.said}, "and we have nothing."

{A} wanted to go on. But {L.s} lip was shaking, and {L.his} boots were full of water. So {A} took {L.him} on {A.his} back. "We will go home," {A.said}. "Maybe there is another one tomorrow."
/ {A} looked at the empty sky. Then {A.he} looked at {L.name}, who was cold. "Come," {A.said}, "you are more important than gold." And {A.he} carried {L.him}.

On the way home, the sun came out once more. A small piece of rainbow lit up, and it ended right at {v.end}!
/ They had just come around the corner when {L.name} pointed. "There! There!" The rainbow was back, and it came down on {v.end}.

They went closer on tiptoe. And there they saw {v.found}.
/ This time they did not run. They walked slowly, hand in hand. At the end of the rainbow they found {v.found}.

"It is not gold," {L.said}. "No," {A.said}. "It is better. Gold does not look like that." They stood and looked until the colors went out.
/ {L.name} clapped {L.his} hands. {A} forgot all about the gold. Neither of them wanted to go in, although they were wet to the bone.

At home they got dry socks and hot milk. "What did you find?" their mother asked. They looked at each other. "That is a secret," {A.said}.
/ {A} keeps it in {A.his} heart with other treasures. And when it rains, {L.name} asks, "Do you remember {v.keep}?" And {A} says, "Of course."
""",
    ),
    Plot(
        "train to the sea",
        cast={"A": "child", "G": "grandparent"},
        sky="sun",
        things={"small": "small"},
        variants=(
            {"wait": "the train stopped in the middle of a field", "see": "a field full of red poppies", "sea": "like a blue blanket with white lace", "pass": "counted the cows"},
            {"wait": "the train stood still in front of a bridge", "see": "a stork on a chimney", "sea": "as if the sky had fallen down", "pass": "sang every song that they knew"},
            {"wait": "the train had to wait for another train", "see": "a fox that trotted along the tracks", "sea": "like a thousand little mirrors", "pass": "played I spy"},
        ),
        text="""
{A} had never seen the sea. {A} had seen it in books, but a book is not wet. {A} wanted to hear it and to smell it.
/ More than anything, {A} wished to see the sea. "How big is it?" {A.he} asked {G.name}. "Bigger than you can think," {G.said}.

{day}, {G.name} held up two tickets. "Pack your bag," {G.said}. "Tomorrow we go to the sea." {A} did not sleep all night.
/ {day}, {A} and {G.name} got on a train. It was going to the sea! {A} had a seat by the window and a bag with sandwiches.

The train went past houses and gardens and trees. "Is that the sea?" {A.asked}. "That is a pond," {G.said}. "Is that the sea?" "That is a river. Be patient."
/ Clack, clack, clack, went the wheels. {A} looked out and asked every minute if they were there. "Not yet," {G.said}. "Not yet."

Then, all at once, {v.wait}. Five minutes went by. Ten minutes went by. Nobody knew why.
/ But half way there, {v.wait}. It did not move for a whole hour. {A} wanted to get out and push.

"We will never get there," {A.said}. {A} was so <sad> that {A.he} could not eat {A.his} sandwich. "Look out of the window," {G.said}. "What do you see?" {A} looked. There was {v.see}.
/ {A} put {A.his} face in {A.his} hands. "It will be dark when we arrive," {A.said}. {G} touched {A.his} arm. "You only think of the end," {G.said}. "Look, here is something too." And {G} pointed at {v.see}.

"If the train had not stopped," {G.said}, "we would not have seen that." Then they {v.pass}, and the time went faster.
/ {A} forgot to be angry. They {v.pass}. When the train began to roll again, {A} was almost sorry.

At last the train came around a hill, and {A} stopped talking. There it was. It looked {v.sea}.
/ And then, between two houses, there was something wide and bright. "Now you may ask," {G.said}. "Is that the sea?" {A.asked}. "That is the sea." It looked {v.sea}.

{A} took off {A.his} shoes and ran. The water was cold and tickled {A.his} toes. It was bigger than any book.
/ They walked along the water until the sun went down. {A} shouted, and the sea answered.

Before they went home, {A} picked up {small.a} from the sand. "So that I do not forget," {A.said}.
/ In the wet sand lay {small.a}. {A} put it in {A.his} pocket and held it all the way back.

Now {small.the} lies next to {A.s} bed. When {A.he} looks at it, {A.he} thinks of the sea, and of the long wait, and of {v.see}.
/ "What was the best part?" {G} asked at the door. {A} looked at {small.the} in {A.his} hand. "The sea," {A.he} said. "But {v.see} was second."
""",
    ),
    Plot(
        "stone for courage",
        cast={"A": "child", "B": "little", "G": "grandparent"},
        variants=(
            {"dare": "walk past the big dog", "done": "walked past the big dog", "next": "jump from the low wall", "look": "gray with a white ring"},
            {"dare": "ask the new neighbors for the ball", "done": "asked for the ball", "next": "go down into the cellar", "look": "as black as the night"},
            {"dare": "cross the wobbly bridge", "done": "crossed the bridge", "next": "go down the high slide", "look": "green with golden spots"},
            {"dare": "raise a hand in class", "done": "raised a hand", "next": "sleep at a friend's house", "look": "white and as smooth as an egg"},
        ),
        text="""
{A} was often afraid. {A} wanted to be brave, like the people in stories. But how does one do that?
/ {A} wished to be brave. {A.He} was afraid of so many things that {A.he} could not count them.

{day}, {A} told {G.name}. {G} did not laugh. {G} took a stone out of a drawer. It was {v.look}. "This is a courage stone," {G.said}. "Hold it in your hand when you are afraid."
/ {day}, {A} was helping {G.name} in the garden and found a stone. It was {v.look}. {G} looked at it closely. "Oh," {G.said}, "that is a courage stone. They are very rare."

The next day, {A} had to {v.dare}. {A.His} heart beat hard. But {A.he} put {A.his} hand in {A.his} pocket and held the stone. And then {A.he} {v.done}. It was easy!
/ {A} tried it the next day. {A} was going to {v.dare}, and {A.he} was <afraid>. {A.He} held the stone tight, and it got warm. And {A} {v.done}!

<fromthen>, {A} took the stone everywhere. With the stone, {A} could do things that {A.he} had never done before.
/ The stone really worked. {A} went to places where {A.he} had never dared to go. Even the dark was not so dark.

Then, one morning, {A.s} pocket was empty. There was a hole in it! {A} looked in the house and in the street. The stone was gone.
/ But one day, {A} reached into {A.his} pocket, and there was nothing there. The stone was lost! {A} searched for it <allday>.

"Now I can't do anything any more," {A.said}. And just on that day, {A.his} {B.kind} {B.name} called for help. {B} wanted to {v.next}, and did not dare to, all alone.
/ {A} was in despair. Without the stone, {A.he} was nobody. At that moment, {A.his} {B.kind} {B.name} came. "Will you go with me?" {B.asked}. "I want to {v.next}, but I am scared."

{A} was scared too. But {B.name} held out a hand and looked up at {A.him}. So {A} took the hand. "I will go first," {A.he} said. And they did it, both of them.
/ {A} wanted to say no. Then {A.he} saw {B.s} face. "Come," {A.said}. "We will do it together." {A} did not think about the stone at all until it was over.

Only then did {A} notice it. {A.His} hand had been in {B.s} hand, and there had been no stone.
/ When it was done, {A} stood still. "I did it without the stone," {A.he} said slowly.

{A} ran to {G.name}. "The stone is lost," {A.said}, "but I was brave anyway!" {G} smiled. "I must tell you something," {G.said}. "It was just a stone. The courage was yours."
/ "Was it a real courage stone?" {A} asked {G.name} that evening. "What do you think?" {G.asked}. {A} <thought>. "I think that it was a real stone," {A.said}, "and a real {A.kind}."

A week later, {A} found the stone in the grass. It was still {v.look}. {A} picked it up and gave it to {B.name}. "Here," {A.he} said. "Hold it in your hand when you are afraid."
/ In the spring, {B.name} found the stone behind the shoe rack. "You can have it," {A.said}. "It helps, until you do not need it any more."
""",
    ),
    Plot(
        "sled with no snow",
        cast={"A": "child", "B": "other", "M": "parent"},
        
        sky="any",
        variants=(
            {"thing": "sled", "need": "snow", "instead": "slid down the grassy hill on cardboard", "came": "In the night, it began to snow"},
            {"thing": "kite", "need": "wind", "instead": "painted a face on the kite and made a puppet show with it", "came": "In the evening, the wind began to blow"},
            {"thing": "pair of skates", "need": "ice", "instead": "danced on the kitchen floor in woolly socks", "came": "In the night, the pond froze"},
            {"thing": "telescope", "need": "starlight", "instead": "looked at ants and leaves and a very surprised cat", "came": "In the evening, the clouds opened"},
        ),
        text="""
{A} got a {v.thing} for {A.his} birthday. It was just what {A.he} had wished for. There was only one thing missing, and that was {v.need}.
/ On {A.his} birthday, {A} unpacked a {v.thing}. {A.He} jumped for joy. Then {A.he} looked out of the window. For a {v.thing} you need {v.need}, and there was none.

{day}, {A} sat on the steps with the {v.thing} and waited. {B.name}, {A.his} friend, sat down too. They waited together.
/ {A} waited on Monday. {A} waited on Tuesday. {day}, {B.name} from next door came and waited too.

"It is the best {v.thing} in the world," {A.said}, "and I can't use it." {A} was close to tears.
/ "Why is there no {v.need}?" {A.asked}. "It is so unfair!" And {A.he} kicked the step.

"We cannot make {v.need}," said {M.name}. "But I have never heard that fun needs {v.need}. What else is there?"
/ {M} was hanging up the wash. "You can wait," {M.said}, "or you can play. Waiting is longer."

{B.name} had an idea. {B} whispered it in {A.s} ear, and {A} began to grin. And then they {v.instead}.
/ {A} looked at {B.name}. {B.name} looked at {A.name}. They both had the same idea. A minute later, they {v.instead}.

They laughed so much that {A} forgot what {A.he} had been waiting for. It got late, and nobody noticed.
/ It was silly, and it was wonderful. When they were called in, they did not want to stop.

{v.came}. "<look>!" {M.cried}. {A} ran to the window. There it was, after all that waiting!
/ And do you know what happened? {v.came}. {A} could hardly believe it.

The next day, {A} and {B.name} took the {v.thing} outside. It was <great>. It was everything that {A} had hoped for.
/ At last {A} could use the {v.thing}. {A.He} let {B.name} have the first turn.

"Shall we do it again tomorrow?" {B.asked}. "If there is {v.need}," {A.said}. "And if there is none?" They looked at each other and laughed. They knew what to do.
/ But later, when people asked about the birthday, {A} did not speak of the {v.thing}. {A.He} told them how they {v.instead}.
""",
    ),
]

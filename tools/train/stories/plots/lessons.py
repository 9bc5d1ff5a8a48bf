"""Someone does the wrong thing, sees what comes of it, and puts it right."""

from ..story import Plot

PLOTS = [
    Plot(
        "vase and the truth",
        cast={"A": "child", "M": "grownup"},
        things={"vase": "vase"},
        variants=(
            {"play": "played with a ball in the house", "blame": "the cat", "sign": "a muddy paw print that {A.he} had made with {A.his} own thumb"},
            {"play": "ran around the table", "blame": "the wind", "sign": "an open window"},
            {"play": "danced on the sofa", "blame": "the dog", "sign": "a chewed leaf beside it"},
            {"play": "threw a pillow across the room", "blame": "the bird", "sign": "a feather on the floor"},
        ),
        text="""
{M} had {vase.a}. It stood on the shelf, and {M.name} loved it, because it was very old.
/ On the shelf in the living room stood {vase.a}. It belonged to {M.name}. "Be careful with it," {M.said} to {A.name}.

{day}, {A} {v.play}. {A} knew that it was not allowed, but {A.he} wanted to have some fun. There was a loud crash.
/ {day}, {A} was alone in the room and {v.play}. Only for a minute, {A.he} thought. Crash! Something fell.

{vase.the} lay on the floor in three pieces. {A} felt cold all over.
/ {A} stood very still. There, in pieces, lay {vase.the}.

"Who did this?" {M} asked when {M.he} came in. {A} looked at the floor. "It was {v.blame}," {A.he} said. There was even {v.sign}.
/ {A} did not think for long. {A.He} put the pieces together, as if nothing had happened. When {M.name} touched it, it fell apart. "It was {v.blame}," {A} said <quickly>.

{M} said nothing more and swept up the pieces. {M} looked <sad>. It would have been easier if {M.he} had been angry.
/ "I see," {M.said}, and that was all. {M} went out to find some glue.

{A} went to play, but it was no fun. The lie sat in {A.his} tummy like a stone. At dinner {A.he} was not hungry. In bed {A.he} was not sleepy.
/ All afternoon, {A} felt strange. Everything tasted of nothing. Each time {A.he} looked at the empty shelf, {A.his} ears got hot.

At last {A} got up and went down the stairs. {M} was sitting at the table with the glue. "It was not {v.blame}," {A.said}. "It was me."
/ Late in the evening, {A} came back in bare feet. "I have to say something," {A.he} whispered. "I {v.play}, and then I lied. <imsorry>."

{M} put down the glue. "I know," {M.said}. "I was waiting for you to tell me. A broken thing can be glued. But a lie stays broken until you say it."
/ {M} pulled {A.him} close. "I am sad about it," {M.said}. "But I am glad that you told me. Come, you can help me. I need small fingers."

They glued it together, piece by piece. The stone in {A.s} tummy was gone. Now {A} was hungry, and {M.name} made toast.
/ They worked until it was done. It had two thin lines now. "They will remind us," {M.said}. "Of what?" {A.asked}. "That you were brave."

{vase.the} is back on the shelf. {A} plays outside now. And when something goes wrong, {A.he} tells it right away, before the stone can grow.
/ If you look closely, you can still see the lines. But you have to know where they are. {A} knows.
""",
    ),
    Plot(
        "no coat",
        cast={"A": "child", "M": "parent"},
        sky="rain",
        variants=(
            {"wear": "raincoat", "why": "it was ugly and yellow", "go": "the park", "miss": "the big football game"},
            {"wear": "old hood", "why": "it made {A.his} head itch", "go": "the pond", "miss": "a birthday party"},
            {"wear": "umbrella", "why": "nobody else had one", "go": "the bus stop", "miss": "the trip to the zoo"},
        ),
        text="""
{A} did not like {A.his} {v.wear}. "I do not need it," {A.said}, and said that {v.why}.
/ There was always a fight about the {v.wear}. {A} did not want it, because {v.why}.

{day}, {A} wanted to go to {v.go}. "Look at the clouds," {M.said}. "Take your {v.wear}." But {A} shook {A.his} head and slipped out of the door without it.
/ {day}, {A} was going out. "It is going to rain," {M} called after {A.him}. "Do not forget your {v.wear}!" {A} heard it very well. {A.He} just ran faster.

At first the rain was only a few drops. {A} laughed and tried to catch them with {A.his} tongue. Then the sky opened.
/ <atfirst> everything was fine. {A} jumped over the puddles. Then there was a rumble, and it began to pour.

{A} ran to a tree, but the tree dripped too. The water ran into {A.his} shoes. {A.He} was cold, and it was a long way home.
/ In a minute, {A} was wet to the skin. {A.His} teeth began to chatter. Every step went squish.

When {A} came home, there was a puddle under {A.him}. {M} did not say, "I told you so." {M} got a towel and ran a hot bath.
/ {M} was waiting at the door with a big towel. {A} looked up at {M.him}. "I know," {A.he} said. "I know, I know." Then {A.he} sneezed.

The next day, {A} had a red nose and a sore throat and had to stay in bed. And that was the day of {v.miss}!
/ It was too late. By morning {A} was hot and had a cough. And so {A.he} could not go to {v.miss}, which was that very day.

{A} looked out of the window. "I wish that I had listened," {A.he} said. {M} brought {A.him} soup and sat down. "Rain does not care what we like," {M.said}.
/ "It is not fair," {A.said} and looked at the ceiling. But {A} knew that it was fair. {A.He} had been told.

When {A} was well again, {A.he} took some paint and some tape. Soon the {v.wear} had stars and stripes and one big eye. Now it was the best one in town.
/ {A} could not change the rain. But {A.he} could change the {v.wear}. {A} took a brush and painted a dragon on it, with red fire.

And the next time there were clouds in the sky, it was {A} who said, "Wait! My {v.wear}!"
/ {M} still calls, "Do not forget your {v.wear}!" But by then, {A} has it already.
""",
    ),
    Plot(
        "too many berries",
        cast={"A": "animal ground", "B": "otheranimal ground", "M": "animalparent"},
        home="wood",
        sky="sun",
        variants=(
            {"food": "berries", "place": "the foot of a hill", "mouth": "blue"},
            {"food": "cherries", "place": "the old garden", "mouth": "red"},
            {"food": "strawberries", "place": "the edge of a field", "mouth": "pink"},
            {"food": "plums", "place": "the far side of the stream", "mouth": "purple"},
        ),
        text="""
{A} loved {v.food} more than anything. {A} could never get enough of them.
/ There was nothing that {A} liked so much as {v.food}. When {A.he} saw one, {A.he} had to eat it.

{day}, {A} found a bush with hundreds of {v.food}. It was at {v.place}, and nobody else knew about it. "I will not tell anybody," {A.said}. "They are all for me."
/ {day}, at {v.place}, {A} came to a bush that was full of {v.food}. {A} looked left and right. Nobody was there. "All mine!" {A.he} whispered.

{B.name} came along the path. {B} was {B.who} with a little basket. "Did you find any {v.food}?" {B.asked}. "No," said {A.name}, with a full mouth. "Not one."
/ Then {A} heard steps. It was {B.name}, {B.who}, who was hungry. "Is there anything to eat here?" {B.asked}. {A} stood in front of the bush. "Nothing at all," {A.he} said.

{A} ate ten. {A} ate fifty. {A} ate until there was only one left, and then {A.he} ate that one too.
/ When {B.name} was gone, {A} ate and ate and ate. "I must eat them quickly," {A.he} thought, "before somebody comes."

Then {A.s} tummy began to hurt. It was as round as a drum. {A} could not walk. {A} could not even sit. "Ooooh," {A.said}.
/ <suddenly> there was a pain in {A.his} tummy, and it got worse and worse. {A} lay on the ground and moaned.

Somebody heard {A.him}. It was {B.name}. {B} saw {A.s} {v.mouth} mouth and the empty bush. {B.name} understood everything. But {B.he} did not go away. {B} put a cool leaf on {A.s} head.
/ {B.name} came back when {B.he} heard the noise. {A.s} mouth was all {v.mouth}. "So there were no {v.food} here?" {B.asked}. Then {B.he} ran to get {M.name}.

{M} came with a cup of bitter tea. "One is good, ten are nice, a hundred are a tummy ache," {M.said}. {A} had to drink it all.
/ "You need tea, and you need rest," {M.said}, "and then, I think, you need to say something to {B.name}."

"<imsorry>," {A.said} to {B.name}. "I lied to you, and I ate them all." {B} looked at {A.his} sad face. "I was angry," {B.said}. "But you do look funny with that {v.mouth} mouth." And they both had to laugh, which hurt.
/ {A} was <ashamed>. "There were enough for all of us," {A.he} said. "Next time I will share. I promise." "I hope so," {B.said}. "It would be better for your tummy too."

The next summer, the bush was full again. {A} went to get {B.name} first. They picked a basket full, and each of them ate ten. They tasted better than a hundred.
/ When the {v.food} were ripe again, {A} called all the others to the bush. There was enough for everyone, and nobody had a tummy ache.
""",
    ),
    Plot(
        "boasting",
        cast={"A": "child", "B": "other", "G": "grandparent"},
        variants=(
            {"say": "I can skate better than anybody", "do": "skate backward", "fell": "sat down hard on the ice", "verb": "skating", "where": "at the ice rink"},
            {"say": "I can ride with no hands", "do": "ride with no hands", "fell": "rode straight into a hedge", "verb": "riding", "where": "on the street"},
            {"say": "I can do ten cartwheels", "do": "turn even one cartwheel", "fell": "landed flat on the grass", "verb": "turning", "where": "in the gym"},
            {"say": "I can juggle four balls", "do": "juggle four balls", "fell": "got a ball on the nose", "verb": "juggling", "where": "in the school yard"},
            {"say": "I can jump farther than a frog", "do": "jump over the stream", "fell": "landed in the middle of the water", "verb": "jumping", "where": "at the stream"},
        ),
        text="""
{A} wanted everybody to think that {A.he} was great. "{v.say}," {A.he} told the others. It was not true.
/ "{v.say}," {A.said}, although {A.he} had only tried it once. {A.He} liked the way the others looked at {A.him}.

"Really?" said {B.name}, {A.his} friend. "Then show us tomorrow!" {A} got a hot face. "Of course," {A.he} said.
/ {day}, {B.name} asked, "Can you show us?" All the children looked at {A.name}. There was no way back. "Tomorrow," {A.said}.

That night, {A} slept badly. {A.He} hoped for rain, or for a cold. But the morning was fine, and {A.he} was well.
/ {A} thought, "Maybe I can do it if I just try hard." But deep inside {A.he} knew that it was not so.

{v.where} they were all waiting. {A} tried to {v.do}. For one second it looked good. Then {A} {v.fell}.
/ The next day, they all met {v.where}. {A} took a deep breath and began to {v.do}. It went wrong at once. {A} {v.fell}.

Everybody laughed. {A} ran home and slammed the door. {A.He} never wanted to see any of them again.
/ It did not hurt much. But the laughing hurt. {A} ran away as fast as {A.he} could.

{G} was peeling apples. "I said that I could do it," {A.said}, "and I can't." {G} went on peeling. "That is easy to fix," {G.said}. "You only have to add one little word: yet."
/ {A} told {G.name} everything. "There are two ways out," {G.said}. "You can hide for ever. Or you can tell the truth and then learn it." {A} thought about for ever. It was very long.

The next day, {A} went to {B.name}. "I lied," {A.he} said. "I cannot do it yet." {B.name} was surprised. "I cannot do it at all," {B.said}. "Shall we practice together?"
/ It was hard to go back. But {A} did. "I boasted," {A.he} told {B.name}, "<imsorry>." "I only laughed because you looked so funny," {B.said}. "Do you want to try it with me?"

They practiced every afternoon. They fell, and they got up, and they fell again. They had blue knees and a lot of fun.
/ So they started {v.verb} together, a little bit each day. {B.name} was better at the start, and {A} was better at the end.

In the spring, {A} could really do it. The others came to watch. "You are great!" somebody said. {A} <smiled>. "I practiced," {A.he} said.
/ After some weeks, it worked, first once, then twice, then every time. {A} did not tell anybody. {A.He} just did it, and that was enough.

And when somebody asks if {A.name} can fly to the moon, {A.he} says, "Not yet."
/ <fromthen>, {A} did not say, "{v.say}." {A.He} said, "Let us see."
""",
    ),
    Plot(
        "messy room",
        cast={"A": "child", "M": "parent", "B": "other"},
        things={"small": "small"},
        variants=(
            {"event": "the swim party", "need": "swim suit"},
            {"event": "the costume party", "need": "pirate hat"},
            {"event": "the trip to the mountains", "need": "hiking shoes"},
            {"event": "the last day of school", "need": "library book"},
        ),
        text="""
{A} had a room that was very messy. There were socks on the lamp and crumbs in the bed. "I know where everything is," {A.he} said.
/ In {A.s} room, nobody could see the floor. "Please tidy up," {M.said} <everyday>. "Tomorrow," {A.said} <everyday>.

{A} wanted to go to {v.event}. It was going to be great, and {B.name}, {A.his} best friend, was going too.
/ {A} had waited for weeks for {v.event}. {B.name}, {A.his} friend from next door, would come to pick {A.him} up.

{day}, {B.name} was at the door. "Are you ready?" {B.asked}. "One minute," {A.said}. "I only have to find my {v.need}."
/ {day}, everything was ready. Only one thing was missing, and that was the {v.need}. "It must be here somewhere," {A.said}.

{A} looked under the clothes. {A} looked under the books. {A} found an old apple, three pens and {small.a}, but no {v.need}.
/ {A} threw things to the left and to the right. {small.a} rolled across the floor. But the {v.need} was not there.

"We have to go," {B.said} after a while. "They start at three." {A} looked and looked. Then it was too late, and {B.name} had to go alone.
/ Ten minutes went by, and then twenty. "I am sorry," {B.said}. "I can't wait any longer." The door closed behind {B.him}.

{A} sat on the heap and <cried>. {M} came in and moved a box, so that {M.he} could sit down too. "It is my own fault," {A.said}. "Do you want help?" {M.asked}. {A} nodded.
/ {A} was <angry>, first with the room and then with {A.himself}. "Where do I start?" {A.asked} {M.name}. "With one sock," {M.said}.

One sock, and then another one. Books on the shelf, blocks in the box. It took the whole afternoon, and slowly there was a floor.
/ They made three heaps: one to wash, one to keep, one to give away. By and by, they could see the carpet. It was blue! {A} had forgotten that.

Under the very last heap lay the {v.need}. {A} had to laugh, although {A.he} was sad. "There you are," {A.he} said.
/ And then, behind the bed, {A} found the {v.need}. "A bit late," {A.said}, and sighed.

That evening, {B.name} came back with a piece of cake in a napkin. "I saved this for you," {B.said}. Then {B.he} looked around. "Is this the right house?" {B.he} asked, and they laughed.
/ In the evening, the bell rang. It was {B.name}. "It was not so much fun without you," {B.said}. "And now we can play on your floor. I did not know that you had one!"

Now the {v.need} has a hook, and {small.the} has a little box. And when there is something to go to, {A} is the first at the door.
/ <fromthen>, {A} put one thing back in its place every night, first of all {small.the}. It took one minute. And {A} was never late again.
""",
    ),
    Plot(
        "one more minute",
        cast={"A": "child", "M": "parent", "G": "grandparent"},
        variants=(
            {"trip": "the sunrise from the hill", "go": "see the sun come up", "when": "before it is light", "late": "the sun was already high"},
            {"trip": "the fishing boats", "go": "watch the boats go out", "when": "at five o'clock", "late": "the boats were only dots on the sea"},
            {"trip": "the hot air balloons", "go": "see the balloons go up", "when": "very early", "late": "the field was empty"},
            {"trip": "the deer in the meadow", "go": "see the deer", "when": "when the grass is still wet", "late": "there were only footprints in the grass"},
        ),
        text="""
{A} never wanted to go to bed. "One more minute," {A.he} said every evening. And then, "One more."
/ When it was bedtime, {A} always had something to do. One more page. One more game. One more glass of water.

{day}, {G.name} had a surprise. "Tomorrow I will show you {v.trip}," {G.said}. "I will come {v.when}. So go to bed in good time." {A} had always wished to {v.go}.
/ {day}, {G.name} called. "Do you still want to {v.go}?" {G.asked}. "Then tomorrow is the day. I will be at the door {v.when}. You must sleep early tonight." {A} was so <excited>!

That evening, {M.name} said, "Time for bed." "One more minute," {A.said}. There was a game to finish. And then there was a book. And then the clock struck eleven.
/ But at bedtime, {A} was wide awake. {A.He} took a lamp under the blanket and read. Just one more page, and one more, and one more.

In the morning, {G.name} knocked. "Wake up," {G.said}. {A} tried. {A.His} eyes would not open. "One more minute," {A.he} said into the pillow.
/ When {G.name} came, {A} was sleeping like a stone. {G} shook {A.his} shoulder. "Just one minute," {A} whispered. And the minute became an hour.

When {A} finally stood outside with {A.his} shoes on, it was bright. They hurried as fast as they could. But {v.late}.
/ They ran all the way. It was no use. When they got there, {v.late}. They had come too late.

{A} did not cry. {A} just stood there. "I missed it," {A.he} said, "because of one more minute."
/ {A} bit {A.his} lip. "It is my fault," {A.he} said. "I did not sleep when I should have."

{G} was not angry. "It will be there again," {G.said}. "Next week. It does not wait for us, but it comes back."
/ "A minute is a small thing," {G.said}. "But it has many brothers, and they all come along." {A} had to smile a little.

A week later, {A} brushed {A.his} teeth while it was still light. "What, no more minutes?" {M.asked}. "I am saving them," {A.said}.
/ The next time, {A} was in bed before {M.name} could say a word. {A} closed {A.his} eyes and thought of {v.trip}.

And in the morning, {A} stood at the door before {G.name} could knock. They walked through the cold air, hand in hand. And then {A.he} saw {v.trip}. It was more beautiful than {A.he} had dreamed.
/ This time, it was {A} who woke {G.name}! They were there in time. They saw {v.trip}, and neither of them said a word for a long time.

"One more minute?" {G} asked softly, when it was over. "Yes," {A.said}, "one more." And they stayed.
/ {A} never forgot it. And when it is bedtime now, {A.he} says, "Good night," and keeps the minutes for the morning.
""",
    ),
    Plot(
        "all by myself",
        cast={"A": "child", "M": "parent", "B": "sibling"},
        variants=(
            {"job": "carry the big pumpkin", "how": "lifted it and could not see over it", "bad": "It rolled away, down the hill, faster and faster", "fix": "rolled it home together, one on each side", "ate": "pumpkin soup"},
            {"job": "put up the tent", "how": "pulled on all the strings at once", "bad": "The tent fell down with {A.name} inside", "fix": "held one pole each and counted to three", "ate": "toast from the fire"},
            {"job": "wash the dog", "how": "took a whole bottle of soap", "bad": "The dog jumped out, and foam flew all over the house", "fix": "let one hold and one wash", "ate": "ice cream on the steps"},
            {"job": "row the boat", "how": "pulled hard on one oar", "bad": "The boat went around and around like a top", "fix": "sat side by side, with one oar each", "ate": "a picnic on the island"},
            {"job": "carry all the plates", "how": "made a tower up to {A.his} chin", "bad": "The tower began to lean, more and more", "fix": "each took one half of the tower", "ate": "noodles with cheese"},
        ),
        text="""
"I can do it all by myself," {A} liked to say. {A} did not want any help, not with {A.his} shoes and not with {A.his} coat.
/ {A} wanted to be big. And big people, {A.he} thought, do everything by themselves.

{day}, {A} was going to {v.job}. "Do you want me to help?" asked {A.his} {B.kind} {B.name}. "No!" {A.said}. "All by myself!"
/ {day}, there was something to do for everyone. {A} chose to {v.job}. "That is a job for two," {M.said}. "Not for me," {A.said}.

{A} {v.how}. It went well for three seconds. {v.bad}.
/ {A} began. {A.He} {v.how}. Then it happened. {v.bad}.

"Stop! Stop!" {A.cried}. But it did not stop. {A} had to sit down, red in the face and close to tears.
/ {A} did not know what to do. "I meant to do that," {A.he} said. But nobody believed it, not even {A.name}.

{B.name}, {A.his} {B.kind}, came running. {B} tried not to laugh. "Shall I go away again?" {B.asked}. {A} looked at the ground. It was very hard to say. "No," {A.said}. "Please help me."
/ "May I say something?" asked {B.name}, {A.his} {B.kind}. "I can't do it by myself either. Nobody can. That is why there are two of us."

So they {v.fix}. It was easy! {A} could not believe it.
/ They did it together. They {v.fix}, and in no time it was done.

"Did you know that?" {A} asked {M.name}. "Know what?" {M.asked}. "That two is more than one and one." {M} smiled. "I have known it since you were born," {M.said}.
/ {M} came out and clapped. "Who did that?" {M.asked}. "We did," {A.said}. It was a short word, but it felt good to say.

Afterward they had {v.ate}. {A} wanted to open the bottle all by {A.himself}. It was stuck. {A} looked at it. Then {A.he} held it out. "{B.name}?" {A.he} said.
/ In the evening, they had {v.ate}, and everybody was tired and happy. "Tomorrow," {A.said}, "I will tie my shoes all by myself." {A} yawned. "Or almost."
""",
    ),
]

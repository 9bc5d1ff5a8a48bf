"""Someone needs help, and giving it costs something."""

from ..story import Plot

PLOTS = [
    Plot(
        "hurt wild animal",
        cast={"A": "child", "V": "worker vet", "M": "parent"},
        things={"wild": "wild"},
        variants=(
            {"hurt": "one leg was hurt", "bed": "a shoe box with hay", "eat": "from a tiny spoon", "spot": "on the path"},
            {"hurt": "it could not stand up", "bed": "an old hat with wool in it", "eat": "out of {A.his} hand", "spot": "under the hedge"},
            {"hurt": "it was weak and cold", "bed": "a basket near the stove", "eat": "a little every hour", "spot": "beside the road"},
            {"hurt": "it could not move one side", "bed": "a wooden box with soft grass", "eat": "from the tip of a brush", "spot": "by the fence"},
        ),
        text="""
{day}, {A} found {wild.a} {v.spot}. {v.hurt}, and it looked at {A.him} with frightened eyes.
/ {day}, {A} heard a very small sound {v.spot}. There lay {wild.a}. {v.hurt}.

{A} wanted to help, but {A.he} did not know how. {A.He} took off {A.his} jacket, put it around {wild.the} and carried it home as if it were made of glass.
/ "I will take care of you," {A} whispered. {A.He} lifted it up in {A.his} scarf and walked home slowly, so that it would not shake.

"May I keep it?" {A.asked}. "First it must get well," {M.said}. "And then it must decide for itself."
/ {M} looked at it. "We will ask somebody who knows," {M.said}, and they went to see {V.name}.

{V.name} was gentle. "It needs rest, and food, and quiet," {V.said}. "And after that, it needs to be free."
/ "It will get well if you are patient," said {V.name}. "But remember, it is a wild animal. It is a guest."

{A} made a bed out of {v.bed}. {wild.the} ate {v.eat}. {A} got up early <everyday> to feed it and was never late.
/ So {v.bed} became its bed, and it ate {v.eat}. {A} gave up {A.his} games to sit beside it.

Day by day it grew stronger. {A} grew to love it more and more. "Maybe it wants to stay," {A.thought}.
/ After two weeks, {wild.the} was running around the kitchen. It even slept in {A.s} lap. {A} hoped that it would never leave.

But it often sat by the window and looked out. {A} saw it, and {A.his} heart was heavy. {A.He} knew what that meant.
/ One morning, {wild.the} scratched at the door. {A} looked at {M.name}. {M} said nothing. {A} knew that it was time.

{A} took it back to the place where {A.he} had found it. "You are free," {A.he} said. For a moment it did not move. Then it was gone.
/ They went out together. {A} opened {A.his} hands. {wild.the} looked back once, and then it went off into the green.

{A} cried a little. "It hurts to let go," {A.he} said. "Yes," {M.said}. "That is how you know that it was love."
/ The house was very quiet that evening. {A} looked at {v.bed} and was sad and proud at the same time.

In the spring, something moved {v.spot}. It was {wild.the}, and it had three little ones with it. {A} kept very still and smiled.
/ A year later, {A} came by the same place. {wild.the} sat there and looked at {A.him}, and it was not afraid.
""",
    ),
    Plot(
        "dog at the door",
        cast={"A": "child", "M": "parent", "N": "neighbour"},
        sky="rain",
        variants=(
            {"dog": "a thin brown dog", "name": "Rain", "trick": "barked until everybody woke up", "danger": "a pot on the stove began to burn"},
            {"dog": "a small gray dog with one white ear", "name": "Cloud", "trick": "pulled {A.him} away by the sleeve", "danger": "a big branch came down in the yard"},
            {"dog": "a big black dog with sad eyes", "name": "Shadow", "trick": "stood in front of {A.him} and would not move", "danger": "a car came too fast around the corner"},
            {"dog": "a yellow dog with muddy feet", "name": "Puddle", "trick": "ran to get help", "danger": "{A.he} fell and could not get up"},
        ),
        text="""
{A} had always wanted to have a dog. "A dog is a lot of work," {M.said}, each time {A.he} asked. "Perhaps when you are older."
/ There was one thing that {A} wished for on every birthday, and it was a dog. But the answer was always the same. "Not yet," {M.said}.

{day}, {A} opened the door to get the mail. There sat {v.dog}. It was wet from nose to tail.
/ {day}, in the pouring rain, {v.dog} came up the steps and lay down in front of the door.

"It is hungry," {A.said}. {A} brought it some bread and an old towel. It ate everything, even a bit of the towel.
/ {A} dried it with {A.his} own towel and gave it {A.his} own sandwich. It licked {A.his} hand to say thank you.

"It must belong to somebody," {M.said}. "We have to look for the owner." {A} knew that this was right, but {A.his} heart sank.
/ "We can't just keep it," {M.said}. "Think of the people who miss it." So {A} wrote notes: Dog found. {A} hoped that nobody would read them.

They asked everybody in the street. At last they asked {N.name}. "That dog?" {N.said}. "It has been alone since the people in the corner house moved away. Nobody wants it."
/ After a week, {N.name} came by. "I know that dog," {N.said}. "It has no home. I have seen it sleep under the bridge."

"I want it," {A.said} softly. {M} looked at {A.name}, and then at the dog. "You would have to walk it, even in the rain," {M.said}. "I will," {A.said}. "I promise."
/ "Now it has a home, doesn't it?" {A.asked}. {M} sighed. "You must feed it and walk it, every single day." "Every single day," {A.said}.

They named the dog {v.name}. {A} kept the promise. When it rained, {A.he} put on boots. When {A.he} was tired, {A.he} went anyway.
/ The dog got a name, and the name was {v.name}. And every morning before school, in sun and in rain, {A} walked with {v.name} around the block.

Then, one afternoon, {v.danger}. {v.name} saw it first. {v.name} {v.trick}. And so nothing bad happened.
/ One day, {v.danger}. It might have been very bad. But {v.name} {v.trick}, and everything turned out well.

"What a good dog!" {M.cried}. "I thought that we took care of {v.name}. But {v.name} takes care of us."
/ {M} put both arms around {A.name} and the dog. "I am so glad that you opened the door that day," {M.said}.

At night {v.name} sleeps in front of {A.s} bed, dry and warm. And when the rain beats on the roof, {A} puts down a hand and feels the soft ears.
/ When it rains now, {A} and {v.name} look out at it together, from the inside.
""",
    ),
    Plot(
        "snow on the steps",
        cast={"A": "child", "N": "neighbour", "B": "other"},
        sky="snow",
        variants=(
            {"job": "clear the snow from the steps", "done": "cleared the steps", "tool": "a shovel", "reward": "a pot of hot soup", "secret": "a tunnel of snow"},
            {"job": "bring in the wood", "done": "brought in the wood", "tool": "a sled", "reward": "a plate of warm pancakes", "secret": "a snow horse"},
            {"job": "put sand on the icy path", "done": "put sand on the path", "tool": "a bucket", "reward": "a mug of hot chocolate", "secret": "a row of little snow owls"},
        ),
        text="""
It had snowed so much that there was no school. {A} and {B.name} wanted to build the biggest snowman in the street.
/ {A} was full of joy when {A.he} saw the deep snow. "Let us build a giant snowman!" {A.he} said to {A.his} friend {B.name}.

They were on their way {day} when they saw {N.name} at the window. {N} was trying to open the door, but there was too much snow.
/ But then {A} saw {N.name} from across the street. {N} had a bad back and had to {v.job}. {N} stopped after every step.

"Come on," {B.said}. "The snow will not stay soft for long." {A} took a step. Then {A.he} looked back again.
/ {A} stood still. "What about our snowman?" {B.asked}. "The snowman can wait," {A.said}. "I do not think that {N.name} can."

{A} knocked. "May we {v.job}?" {A.he} asked. {N} was so <surprised> that {N.he} did not know what to say.
/ They rang the bell. "We have strong arms," {A.said}. "We would like to {v.job}, if we may."

So they took {v.tool} and {v.done}. It was hard work. {A.s} fingers were cold, and {A.his} nose was red. {B.name} wanted to stop, but {A} began to sing, and so they went on.
/ With {v.tool} they worked until noon. It took much longer than they had thought. "My arms feel like noodles," {B.said}. But in the end, they were done.

"You have done more than you know," {N.said}. "Now my daughter can come to see me." And {N.he} gave them {v.reward}.
/ {N} called them in and gave them {v.reward}. "When I was your age, I loved the snow," {N.said}. "Now I can like it again."

When they came out, the sun was low. "Now it is too late for our snowman," {B.said}. {A} nodded. {A} was a little sad, but only a little.
/ "It is getting dark," {B.said}. "We will never make a giant now." "No," {A.said}, "but we had {v.reward}."

The next morning, {A} looked out and rubbed {A.his} eyes. Beside the gate stood the biggest snowman in the street. And next to it was {v.secret}.
/ But when they woke up the next day, there was a snowman in front of {A.s} house, as tall as the door! Beside it they found {v.secret}.

Nobody had seen who made it. But it wore the hat of {N.name}.
/ "Who did that?" {B.asked}. {A} pointed at the snowman's scarf. It was the scarf of {N.name}, and they both began to laugh.
""",
    ),
    Plot(
        "saved coins",
        cast={"A": "child", "L": "little", "S": "worker shop"},
        things={"toy": "toy"},
        variants=(
            {"need": "had lost {L.his} boots in the mud and had no others", "buy": "a pair of rubber boots"},
            {"need": "had dropped {L.his} glasses, and they were broken", "buy": "new glasses"},
            {"need": "was in bed with a fever and wished for oranges", "buy": "a bag of oranges"},
            {"need": "had nothing warm for the winter", "buy": "a warm coat"},
        ),
        text="""
{A} saw {toy.a} in a shop window. {A.He} wanted it more than anything. So {A} began to save {A.his} money.
/ In a shop window stood {toy.a}. {A} looked at it every time {A.he} went by. "One day you will be mine," {A.he} said.

{A} put every coin in a jar. {A.He} helped in the garden and carried bottles and got a coin for it. It took half a year.
/ {A} did not buy candy, and {A.he} did not buy comics. Clink, went the coins in the jar. Slowly, the jar became full.

{day}, {A} had enough. {A} took the jar under {A.his} arm and was ready to go. Then {A.he} heard somebody cry.
/ {day}, {A} counted the money, and there was enough! {A.He} ran to get {A.his} shoes. In the hall sat somebody with a sad face.

It was {A.his} {L.kind}, {L.name}. {L} {v.need}. There was no money in the house until the end of the month.
/ {L.name}, as {A.his} {L.kind} was called, {v.need}. "We have to wait until next month," {L.said}, and tried to be brave.

{A} stood in the hall for a long time with the jar. {A} thought of {toy.the}. {A} thought of {L.name}. It was the hardest thing that {A.he} had ever had to think about.
/ {A} went out and walked to the shop. There was {toy.the}, right behind the glass. {A} put {A.his} hand on the door. And then {A.he} walked on, to another shop.

When {A} came home, the jar was empty. {A.He} had bought {v.buy}. "For you," {A.said}.
/ {A} came back with a paper bag. "Open it," {A.he} told {L.name}. Inside was what {L.name} needed: {v.buy}.

{L.name} looked at it. Then {L.he} put both arms around {A.s} neck and did not let go.
/ {L} did not say a word. But {L.his} eyes were like two lamps.

A few days later, {A} passed the shop. {S} was standing in the door. "I saw you with your jar," {S.said}. "You looked in, and then you walked away. Why?" {A} told {S.him}.
/ {S}, to whom the shop belonged, had noticed that {A.name} did not come any more. "Didn't you want {toy.the}?" {S.asked}. So {A} told the story of the jar.

{S} was quiet. "I need somebody to sweep the shop on Saturdays," {S.said}. "I cannot pay much. But I think that {toy.the} would be about right."
/ "Hm," {S.said}. "It is dusty in my shop window. If you help me to clean it every Friday, {toy.the} will be yours by summer."

So {A} got {toy.the} after all. And the first one to play with it was {L.name}.
/ It took some time. But when {A} carried {toy.the} home, {L.name} was walking beside {A.him}, and that made it twice as good.
""",
    ),
    Plot(
        "sick friend",
        cast={"A": "child", "B": "other", "M": "parent"},
        variants=(
            {"wish": "see the first snow", "bring": "a snowball in a lunch box", "extra": "The snowball melted, but {B.name} laughed all the same", "sick": "broken a leg"},
            {"wish": "go to the fair", "bring": "the fair, with a paper wheel and a bag of popcorn", "extra": "They threw socks into a bucket and won a prize every time", "sick": "caught a bad cold"},
            {"wish": "hear the birds in the woods", "bring": "the woods in a box, with moss and pine cones", "extra": "A tiny beetle came out of the moss and walked over the blanket", "sick": "caught the measles"},
            {"wish": "go to the beach", "bring": "a bowl of sand, some shells and a sun made of paper", "extra": "They listened to the sea in a shell", "sick": "hurt {B.his} back"},
        ),
        text="""
{A} and {B.name} had a plan for the weekend. They were going to {v.wish}, together.
/ For weeks, {A} and {A.his} friend {B.name} had talked about one thing: they wanted to {v.wish}.

But {day}, {B.s} mother called. {B.name} had {v.sick} and had to stay in bed.
/ {day}, there was bad news. {B.name} had {v.sick}. "No visitors until Sunday," the doctor said.

{A} was <sad>. {A} could have gone alone. But what would that be without {B.name}?
/ "You can still go," {M.said}. {A} <thought>. "I would only think of {B.name} the whole time," {A.he} said.

"If {B.name} can't go there," {A.said} slowly, "then it must come to {B.name}." {A} took a big box and began to look for some things.
/ Then {A} had an idea. {A.He} ran around the house and came back with full arms. "I only need a big box," {A.said}.

On Sunday, {A} rang the bell. {B.name} was in bed, pale and bored. "I wanted so much to {v.wish}," {B.said}.
/ When Sunday came, {A} walked to {B.s} house. {B.name} was looking at the ceiling. {B} had counted all the cracks in it twice.

"Close your eyes," {A.said}. "Now open them." {A} had brought {v.bring}!
/ "Look what I have," {A.said}. And there it was: {v.bring}.

{B.s} whole face changed. {v.extra}. They <laughed> until the bed shook.
/ "You are crazy," {B.said} with shining eyes. {v.extra}.

"You could have gone without me," {B.name} said after a while. "I did not want to go," {A.said}. "I wanted to go with you."
/ "That was better than the real thing," {B.said}. "The real thing will wait for us," {A.said}.

A month later, {B.name} was well. They went to {v.wish} at last. It was fine. But when they talk about it now, they talk about that Sunday and the box.
/ {B.name} is well again now. But sometimes, when it is a gray day, {B.he} says, "Do it again. Bring me the world in a box." And {A} does.
""",
    ),
    Plot(
        "old bench",
        cast={"A": "child", "N": "neighbour", "B": "other"},
        sky="sun",
        variants=(
            {"sit": "an old wooden bench", "bad": "one leg was broken", "talk": "the ducks", "mend": "a new leg and a pot of green paint"},
            {"sit": "a stone bench", "bad": "it was covered with thorns", "talk": "the sparrows", "mend": "a pair of thick gloves and a saw"},
            {"sit": "a blue bench", "bad": "two boards were missing", "talk": "the squirrels", "mend": "two new boards and twelve nails"},
        ),
        text="""
In the park there was {v.sit}. Nobody used it, because {v.bad}. {A} often ran past it and never gave it a thought.
/ {A} knew every corner of the park. There was also {v.sit}, but {v.bad}, and so nobody sat there.

{day}, {A} saw {N.name} standing next to it. {N} stood there for a long time and then went away slowly.
/ {day}, {A} noticed {N.name}, who stood in front of it with a bag of crumbs. {N} looked as if {N.he} had lost something.

"Why do you always stop here?" {A.asked} the next time. "My sister and I used to sit here," said {N.name}, "and talk to {v.talk}. Now my legs are too weak to stand for long."
/ {A} was curious and went closer. "Did you lose something?" {A.he} asked. "Only a place," said {N.name}. "I used to sit here with my best friend and feed {v.talk}."

{A} thought about it all the way home. "Somebody should mend it," {A.he} said to {A.his} friend {B.name}. "Somebody?" {B.asked}. "Or us?"
/ That night, {A} could not stop thinking of it. In the morning, {A.he} told {A.his} friend {B.name}. "It only needs {v.mend}," {B.said}. "How hard can that be?"

It was hard. They had no money, and they had never mended anything bigger than a toy. {A} hit {A.his} thumb, and {B.name} tore {B.his} shirt.
/ They asked the man in the hardware shop, and he gave them {v.mend}. Then they went to work. The first day they made it worse. The second day they made it a bit better.

People stopped to look. One man said, "It is not worth it." But a woman put down her bag and held the boards for them.
/ "That old thing?" people said. But {A} did not give up, because {A.he} thought of {N.name}.

On Saturday it was done. They had used {v.mend}, and it stood there as good as new.
/ At the end of the week, they stepped back. It was not perfect, but it was strong. They jumped on it to make sure.

They hid behind a tree and waited. {N.name} came along the path and stopped. {N} put one hand on it. Then {N.he} sat down, very slowly, and closed {N.his} eyes.
/ {A} went to get {N.name}. "Please come," {A.said}. "There is something that you should see." When {N.name} saw it, {N.he} had to sit down, and now there was something to sit on.

"There is room for three," {N.name} called after a while. So they came out from behind the tree, and {N.name} showed them how to talk to {v.talk}.
/ "Who did this?" {N.asked}. {A} showed {A.his} blue thumb. {N} laughed and wiped {N.his} eyes.

{A} sits there <everyday> now. And when you walk by, you can hear two young voices and an old one, and {v.talk}.
/ {A} tells everybody who comes to the park to look for a bench with one small mark, where a hammer missed. It is the best seat of all.
""",
    ),
]

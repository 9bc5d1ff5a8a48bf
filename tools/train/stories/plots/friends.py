"""Two who fall out, or have not met yet, and how they come together."""

from ..story import Plot

PLOTS = [
    Plot(
        "last cookie",
        cast={"A": "child", "B": "other"},
        things={"treat": "treat"},
        text="""
{A} had {treat.a}. It was the last one, and {A} had saved it <allday>. {A.He} could hardly wait to eat it.
/ There was only one left: {treat.a}. It belonged to {A.o}, and {A.his} mouth watered when {A.he} looked at it.

{day}, {A} sat down on a bench to eat it. On the other end of the bench sat {B.plain}. {B} had dropped {B.his} lunch in the mud.
/ {day}, {A} took it to the park. {B.plain} was sitting there on a bench, and {B.he} looked at an empty box. A dog had eaten all {B.his} food.

{B} did not ask for anything. {B} just looked at {B.his} shoes. Then {B.his} tummy made a sound like a small bear.
/ {A} opened {A.his} mouth to take a bite. Then {A.he} heard {B.s} tummy rumble.

{A} looked at {treat.the}. {A} looked at {B.name}. It was the last one! But it did not look so good any more while somebody beside {A.him} was hungry.
/ "If I give it away, I will have none," {A.thought}. "If I eat it, {B.name} will have none." {A} thought so hard that {A.his} nose wrinkled.

Then {A} broke {treat.the} in two. One half was a bit bigger. {A} gave that one to {B.name}. "Here," {A.he} said. "It is for you."
/ At last {A} made two pieces out of it. "We can share," {A.he} said, and held out the bigger piece.

{B.s} eyes grew wide. "<thanks>!" {B.said}. They ate, and neither of them spoke until the last crumb was gone.
/ "For me?" {B.asked}. {A} nodded. {B.name} ate slowly, to make it last. "It is the best {treat.noun} in the world," {B.said}.

"Funny," {A.said}. "Half of it tasted better than a whole one." {B} <laughed>.
/ {A} was surprised. {A.His} half was small, but it tasted twice as good.

The next day, {B.name} was on the bench again. {B} had a {treat.noun} in a paper bag, and broke it in two. "This time, you get the bigger half," {B.said}.
/ <fromthen>, they met on that bench every week. Sometimes {A.name} brought a {treat.noun}, and sometimes {B.name} did. And they always broke it in two.
""",
    ),
    Plot(
        "one swing",
        cast={"A": "child", "B": "other", "M": "parent"},
        variants=(
            {"thing": "swing", "use": "sit on it", "together": "one sat and one pushed", "broke": "The rope made an ugly sound", "place": "in the yard"},
            {"thing": "scooter", "use": "ride it", "together": "one rode and one gave a push", "broke": "A wheel came off", "place": "in front of the house"},
            {"thing": "wagon", "use": "sit in it", "together": "one pulled and one sat inside", "broke": "The handle came off", "place": "on the path"},
            {"thing": "sled", "use": "have it", "together": "one sat in front and one sat behind", "broke": "The string tore", "place": "on the hill"},
            {"thing": "hammock", "use": "lie in it", "together": "both lay in it, head to foot", "broke": "One end came loose", "place": "between the trees"},
        ),
        text="""
{A} and {A.his} cousin {B.name} were good friends. But there was only one {v.thing} {v.place}, and both of them wanted to {v.use}.
/ {A} had one {v.thing} and one cousin, whose name was {B.name}. When {B.name} came to visit, one {v.thing} was not enough.

{day}, they both ran to it at the same time. "I was first!" {A.shouted}. "No, I was first!" {B.name} shouted back.
/ "It is my turn!" {A.said} {day}. "You had it yesterday!" {B.name} answered, and did not let go.

{A} pulled on one side. {B.name} pulled on the other side. {v.broke}, and they both sat on the ground.
/ They pulled, and they pushed. {v.broke}! Then it was very quiet.

"Now nobody can use it," {A.said}. "That is your fault!" "It is yours!" {B.said}. They turned their backs on each other.
/ {A} was <angry>. {B.name} was <angry> too. They sat at the two ends of the step and did not speak.

{M} came out and saw the {v.thing}. {M} did not shout. "I can mend it," {M.said}. "But what will happen then? There will still be one {v.thing} and two of you."
/ {M} looked at the {v.thing} and at the two angry faces. "I can fix this in a minute," {M.said}. "But you two have to fix the rest."

It was true. {A} <thought>. "We could count," {A.he} said at last. "You count to fifty while I have it. Then I count to fifty while you have it."
/ For a long time, nobody said a word. Then {B.name} said, "You can go first, if I can go second." And {A} said, "No, you go first."

So they took turns, and they counted out loud. And after a while they forgot to count, because they had found a better way: {v.together}.
/ They tried it. It was fair, and nobody was angry. And soon {v.together}, and that was more fun than anything.

"Why did we fight?" {B.asked}. {A} could not remember.
/ "I am sorry that I pulled," {A.said}. "Me too," said {B.name}, and they shook hands.

There is still only one {v.thing}. But now that is just right for two.
/ {M} watched from the window. There was one {v.thing}, and there were two children, and there was a lot of laughing.
""",
    ),
    Plot(
        "new in class",
        cast={"A": "child", "B": "other", "T": "worker school"},
        variants=(
            {"from": "a far country", "hard": "all the words were new", "skill": "fold birds out of paper", "game": "jump rope", "sign": "a paper bird"},
            {"from": "a big city", "hard": "everything was too quiet", "skill": "whistle like a bird", "game": "marbles", "sign": "a marble"},
            {"from": "an island", "hard": "everything was cold", "skill": "tie the most wonderful knots", "game": "tag", "sign": "a little rope with a knot"},
            {"from": "a village in the mountains", "hard": "it was so loud", "skill": "draw goats that looked alive", "game": "hide and seek", "sign": "a drawing of a goat"},
            {"from": "the other side of the sea", "hard": "the other children talked so fast", "skill": "do tricks with a ball", "game": "football", "sign": "a small red ball"},
        ),
        text="""
There was a new child in {A.s} class. The name of the new child was {B.name}, and {B.he} came from {v.from}.
/ {day}, {T.name} brought a new {B.kind} into {A.s} class. "This is {B.name}," {T.said}. "{B.name} has come to us from {v.from}."

{B} sat in the last row and did not say a word. For {B.name}, {v.hard}. At lunch {B.he} ate alone.
/ It was hard for {B.name}, for {v.hard}. In the break {B.he} stood by the wall and looked at the ground.

{A} saw it. {A} remembered {A.his} own first day, and how lonely that had been. {A} wanted to go over, but {A.he} was shy.
/ {A} wished to say something. But what? {A.He} took one step and stopped. "What if I say something silly?" {A.thought}.

The next day, {A} took a deep breath and walked over. "<hello>," {A.he} said. "Do you want to play {v.game} with us?" {B.name} shook {B.his} head and looked away.
/ Then {A} was brave. {A.He} went up to {B.name} and asked, "Do you want to play {v.game}?" ^{B} got red and ran inside.

"{B.name} does not like me," {A.said} to {T.name}. "Maybe {B.he} does not know how to play," {T.said}. "Ask what {B.he} likes. That is the best question."
/ {A} felt <sad>. But {T.name} put a hand on {A.his} shoulder. "Do not give up," {T.said}. "Perhaps you can find out what {B.name} is good at."

So {A} sat down next to {B.name} and waited. After a while {A.he} saw that {B.name} could {v.skill}. "How do you do that?" {A.asked}.
/ {A} sat down beside {B.name} and did not talk at all. That was when {A.he} saw it: {B.name} could {v.skill}! "<wow>!" {A.said}. "Can you teach me?"

{B.name} looked up. For the first time {B.he} smiled. Then {B.he} showed {A.him}, slowly, step by step. Soon half the class stood around them.
/ {B.s} face lit up. {B.He} showed {A.name} how it was done. It was hard, and they laughed a lot. One by one, the others came to look.

"Now you teach me {v.game}," {B.name} said. And {A} did.
/ After that, {A} showed {B.name} how to play {v.game}, and {B.he} was quick to learn.

When {A} got home, {A.he} found {v.sign} in {A.his} pocket. {B.name} had put it there. {A} keeps it to this day.
/ On {A.s} desk lies {v.sign}. It is from {B.name}, who is not new any more, and who is {A.his} best friend.
""",
    ),
    Plot(
        "broken and told",
        cast={"A": "child", "B": "other", "M": "parent"},
        things={"toy": "toy"},
        variants=(
            {"broke": "a wheel came off", "how": "sat on it by mistake", "mend": "glue and a bit of wire"},
            {"broke": "one side cracked", "how": "let it fall on the stones", "mend": "strong glue and a steady hand"},
            {"broke": "a piece broke off", "how": "pulled too hard", "mend": "a tiny nail and some tape"},
            {"broke": "the paint came off", "how": "left it out in the rain", "mend": "a brush and a pot of paint"},
            {"broke": "it bent in the middle", "how": "stepped on it in the dark", "mend": "a stick and some thread"},
        ),
        text="""
{B.name} was {A.s} best friend, and {B.name} had {toy.a}. {A} <loved> to play with it.
/ {A} wanted to play with {toy.the} that belonged to {B.name}. It was {toy.a}, and {A.he} had never seen a finer one.

{day}, {B.name} said, "You may keep it until tomorrow." {A} was <happy> and took {toy.the} home.
/ {day}, {A} asked, "May I borrow it for one day?" "<yes>," said {B.name}. "But please be careful."

But that evening, {A} {v.how}, and {v.broke}. {A.s} heart stopped. "<ohno>," {A.he} whispered.
/ {A} was careful. But then, just before bed, {A.he} {v.how}. There was a small noise, and {v.broke}.

{A} hid {toy.the} under {A.his} pillow. "I could say that a dog did it," {A.thought}. "I could say that I lost it." But {A.he} could not sleep.
/ "If I tell, {B.name} will never play with me again," {A.thought}. {A} lay awake, and {toy.the} seemed to get bigger and bigger under the bed.

In the morning, {M.name} saw {A.his} tired face. "<whatswrong>?" {M.asked}. And then it all came out, with many tears.
/ At breakfast, {A} could not eat. {M} sat down beside {A.him} and waited. "I broke something, and it is not mine," {A.name} said at last.

"Things can be mended," {M.said}. "But only if somebody tells the truth first. What would you like to do?"
/ {M} nodded. "It takes courage to tell," {M.said}. "I will help you to mend it. The telling you must do by yourself."

They took {v.mend}, and {A} worked for an hour. {toy.the} did not look new, but it was whole. Then {A} went to {B.name}.
/ With {v.mend}, they did what they could. Then {A} walked to {B.s} house. {A.He} walked slowly, because {A.he} was <afraid>.

"I broke it," {A.said} at the door. "I am so sorry. I tried to mend it." {A} held it out and did not dare to look up.
/ "I have to tell you something," {A.said}. "I was not careful, and {v.broke}. <imsorry>."

{B.name} looked at {toy.the} for a long time. Then {B.he} said, "I broke it once too, on the other side. Look!" And they <laughed>.
/ For a moment, {B.name} was sad. Then {B.he} took {toy.the} and turned it over. "You mended it well," {B.said}. "And you told me. That is what matters."

That night, {A} slept well. {toy.the} had a scar now, but their friendship had none.
/ They played with {toy.the} all afternoon. It had a mark where it had been mended, and {A} thought that it looked like a small smile.
""",
    ),
    Plot(
        "new bike next door",
        cast={"A": "child", "B": "other", "G": "grandparent"},
        things={"ride": "ride"},
        sky="sun",
        text="""
{B.name}, who lived next door to {A.o}, got {ride.a} for {B.his} birthday. It was so new that it shone in the sun.
/ {A} looked over the fence. There was {B.name}, the {B.kind} next door, and {B.he} had {ride.a}. {A} had always wanted one.

{A} was not happy for {B.name} at all. Something hot and heavy sat in {A.his} chest. "I do not care," {A.he} said, but it was not true.
/ "Look at my {ride.noun}!" {B.cried}. {A} turned away. "It is ugly," {A.he} said. It was not ugly. It was the most beautiful {ride.noun} in the street.

{day}, {B.name} rode up and down and waved. {A} did not wave back. {A} went inside and closed the curtain.
/ {day}, {B.name} called, "Come out and see!" But {A} stayed inside and was <angry> with the whole world.

"What a dark room on such a bright day," {G.said}. {A} told {G.name} about the {ride.noun}. "I wish that it would break," {A.he} said. Then {A.he} was ashamed.
/ {G} came and sat on the bed. "You feel green inside," {G.said}. "That is what we call it. I know how that feels. It goes away when you open the door."

"You can be sad that you have none," {G.said}. "And you can still be glad for a friend. There is room for both."
/ "Tell me one thing," {G.said}. "What do you like more, the {ride.noun} or {B.name}?" {A} did not have to think long.

{A} went outside. It was hard, but {A.he} did it. "Your {ride.noun} is really great," {A.said}. "I was rude. <imsorry>."
/ So {A} opened the door. "I said that it was ugly," {A.he} said. "It is not. I was only sad that I have none."

{B.name} stopped. "I have been going around all by myself," {B.he} said. "It is no fun alone. Do you want to try it?"
/ {B.s} face lit up. "I was waiting for you," {B.he} said. "You can have the first long ride!"

{A} rode to the end of the street and back. The wind was in {A.his} hair. The hot and heavy thing was gone.
/ They took turns until dinner. One rode, and one ran beside, and both of them laughed so much that they fell in the grass.

A year later, {A.name} got a {ride.noun} too. And the very first one who was allowed to try it was {B.name}.
/ When {A} came home, {G.name} asked, "What happened to the green thing?" "I think it fell off," {A.said}, "at the end of the street."
""",
    ),
    Plot(
        "friend who moved",
        cast={"A": "child", "B": "other", "M": "parent"},
        variants=(
            {"place": "a town by the sea", "gift": "a shell", "sound": "the waves", "pair": "a blue stone"},
            {"place": "a house in the mountains", "gift": "a round white stone", "sound": "the cow bells", "pair": "a pine cone"},
            {"place": "a big city", "gift": "a train ticket", "sound": "the trains", "pair": "a leaf from the old tree"},
            {"place": "a village in the north", "gift": "a photo of deep snow", "sound": "the wind", "pair": "a red button"},
        ),
        text="""
{A} and {B.name} did everything together. They walked to school together, and they had a secret knock: one long, two short.
/ {A} had a best friend named {B.name}. They lived side by side, and every evening they tapped on the wall: one long, two short. It meant good night.

{day}, {B.name} came with a sad face. "We are moving away," {B.said}. "To {v.place}."
/ But {day}, a big truck stood in front of {B.s} house. "We are going to live in {v.place}," {B.name} said, and {B.his} voice shook.

{A} did not know what to say. {A} helped to carry the boxes, and each box felt heavier than the last one.
/ "You can't go!" {A.cried}. But the boxes were already packed.

When the truck drove off, {A} waved until it was gone. Then {A.he} tapped on the wall, one long, two short. Nobody answered.
/ That evening, {A} lay in bed and knocked on the wall out of habit. It was so quiet on the other side.

{M} heard it. "You miss {B.name}," {M.said}, and sat down on the edge of the bed. "A wall is too thick now. But a letter can go very far."
/ {M} came in with paper and a pen. "There is another way to knock," {M.said}. "It only takes a little longer."

So {A} wrote a letter. {A.He} wrote about school and about the cat. At the end {A.he} drew one long line and two short ones. Then {A.he} put in {v.pair}.
/ {A} wrote two whole pages. {A.He} put {v.pair} in the envelope, and on the back {A.he} drew a long line and two short lines.

{A} waited for a week. Every day {A.he} looked in the mailbox, and every day it was empty. Had {B.name} forgotten?
/ Then came the waiting. Monday, nothing. Tuesday, nothing. {A} began to be <worried>.

But then there it was, a thick letter with {A.s} name on it. Inside was {v.gift}, and at the end there were lines: one long, two short.
/ On the eighth day, the mail carrier rang the bell. There was a letter, and in the letter was {v.gift}. "I can hear {v.sound} at night," {B.name} had written. "But I would rather hear you knock."

{A} read it three times. Then {A.he} knocked on the wall, one long, two short, just for joy.
/ {A} was so <happy> that {A.he} danced around the kitchen with the letter in {A.his} hand.

They wrote to each other every week. And in the summer there was a knock at the door, one long, two short. {A} knew who it was before {A.he} opened.
/ {v.gift} stands next to {A.s} bed. When {A.he} looks at it, {B.name} does not seem far away at all.
""",
    ),
    Plot(
        "race and the stop",
        cast={"A": "child", "B": "other"},
        sky="sun",
        variants=(
            {"race": "the big race at school", "prize": "a golden cup", "hurt": "had twisted a foot"},
            {"race": "the bike race", "prize": "a blue ribbon", "hurt": "had fallen off and hurt a knee"},
            {"race": "the sack race", "prize": "a box of chocolate", "hurt": "had tripped and could not get up"},
            {"race": "the run around the lake", "prize": "a silver medal", "hurt": "had stepped in a hole"},
        ),
        text="""
{A} wanted to win {v.race}. The prize was {v.prize}, and {A} already knew where to put it.
/ All spring, {A} ran before breakfast. {A} wanted to win {v.race} and bring home {v.prize}.

{day}, it was time. Everybody stood in a row. "Ready, steady, go!" {A} was off like the wind.
/ {day}, the race began. {A} was fast. One by one, {A.he} left the others behind.

<soon> only {B.name} was in front of {A.him}. Then {B.name} fell with a cry. {B} {v.hurt}.
/ Near the end, {A} was first. Then {A.he} heard a cry. It was {B.name}, {B.who} from the next class. {B} {v.hurt}.

{A} could see the finish. A few more steps, and {v.prize} would be {A.his} own! But {B.name} was crying.
/ "Run!" somebody shouted. {A} looked at the finish. Then {A.he} looked back at {B.name}.

{A} slowed down. {A} stopped. Then {A.he} turned around and went back. "Can you stand?" {A.asked}.
/ It took only a second, but it was a long second. {A} ran back. "Put your arm around my neck," {A.he} said.

One after another, the others ran past. {A} and {B.name} came last, on three good legs, step by step.
/ Together they went on, slowly, like one funny animal. Everybody passed them. They were the very last.

But when they crossed the line, the people clapped louder than they had clapped for anybody.
/ At the finish it was quiet for a moment. Then everybody stood up and cheered.

"You lost because of me," {B.name} said. "You would have won {v.prize}." {A} shook {A.his} head. "I did not lose anything," {A.he} said.
/ "I am sorry about {v.prize}," {B.said}. "There will be another race," {A.said}. "Does your leg still hurt?"

The next day, {B.name} came to {A.s} house with something made of paper. It was yellow, and on it was written: To the winner. {A} put it in the place where {v.prize} would have stood.
/ {A} never won {v.prize}. But <everyday> {B.name} waited for {A.him} at the school gate, and that was a much better prize.
""",
    ),
]

"""Words of the TED-LIUM miniature: names of its speakers, and a dictionary in the format of TEDLIUM.152k.dic.

`word PH PH ...` a line, phones of CMUdict without stress, a second pronunciation as `word(2)`, sorted.
"""

FIRST_NAMES = {
    "F": ("Ada", "Clara", "Edith", "Greta", "Irene", "Katya", "Maria", "Olga"),
    "M": ("Bruno", "Diego", "Felix", "Hugo", "Jonas", "Linus", "Nils", "Pablo"),
}
LAST_NAMES = (
    *("Abara", "Bergman", "Castell", "Dvorak", "Eriksen", "Fontaine", "Galanis", "Hartwig", "Ibarra", "Jansen"),
    *("Kovacs", "Lindqvist"),
)

DICTIONARY = """\
a AH
a(2) EY
airport EH R P AO R T
and AE N D
and(2) AH N D
at AE T
bathroom B AE TH R UW M
bedroom B EH D R UW M
bridge B R IH JH
call K AO L
close K L OW Z
close(2) K L OW S
degrees D IH G R IY Z
door D AO R
down D AW N
drive D R AY V
east IY S T
eight EY T
eighty EY T IY
eleven IH L EH V AH N
exit EH G Z IH T
fan F AE N
fifteen F IH F T IY N
fifty F IH F T IY
five F AY V
for F AO R
for(2) F ER
forty F AO R T IY
four F AO R
garage G ER AA ZH
garden G AA R D AH N
gate G EY T
go G OW
hall HH AO L
happy HH AE P IY
heater HH IY T ER
hotel HH OW T EH L
i'd AY D
in IH N
it's IH T S
jazz JH AE Z
kitchen K IH CH AH N
lamp L AE M P
left L EH F T
let's L EH T S
light L AY T
lock L AA K
loud L AW D
me M IY
miles M AY L Z
minutes M IH N AH T S
music M Y UW Z IH K
new N UW
nine N AY N
ninety N AY N T IY
north N AO R TH
o'clock AH K L AA K
off AO F
office AO F AH S
on AA N
one W AH N
open OW P AH N
oven AH V AH N
park P AA R K
percent P ER S EH N T
play P L EY
quiet K W AY AH T
radio R EY D IY OW
right R AY T
set S EH T
seven S EH V AH N
seventy S EH V AH N T IY
six S IH K S
sixty S IH K S T IY
songs S AO NG Z
south S AW TH
take T EY K
ten T EH N
the DH AH
the(2) DH IY
then DH EH N
thirty TH ER T IY
three TH R IY
timer T AY M ER
to T UW
to(2) T AH
turn T ER N
twelve T W EH L V
twenty T W EH N T IY
two T UW
up AH P
volume V AA L Y UW M
wake W EY K
we'll W IY L
west W EH S T
window W IH N D OW
you're Y UH R
zero Z IH R OW
zoo Z UW
"""

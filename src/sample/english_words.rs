//! Which English words are there, and which go together? Lemmas by topic; irregular forms stand after a slash
//! (`child/children`, `write/wrote/written`). Sentences are not built here.

/// What documents are about.
pub(super) struct Topic {
    /// Who one meets.
    pub(super) people: &'static str,
    /// Where it happens.
    pub(super) places: &'static str,
    /// What things are like.
    pub(super) qualities: &'static str,
    /// What is done: a verb, the preposition it asks for, and what it is done to.
    pub(super) acts: &'static [(&'static str, &'static str, &'static str)],
}

pub(super) const NAMES: &str = "Anna Tom Maria James Lucy Peter Emma Daniel Sarah Oliver Grace Henry Alice Robert \
    Julia Martin Clara Victor Nora Philip Ruth Simon Eve Walter Ivy George Helen Arthur Rose Frank Mabel Hugo";

pub(super) const CITIES: &str = "London Bristol York Dublin Oxford Boston Chicago Leeds Glasgow Seattle Denver Bath \
    Cardiff Dover Austin Portland Exeter Salem Norwich Perth";

pub(super) const KIN: &str = "mother father brother sister friend neighbour uncle aunt cousin daughter son grandmother";

pub(super) const FEELINGS: &str =
    "happy sad tired excited surprised angry calm hopeful worried proud curious relieved nervous grateful";

pub(super) const WEATHER: &str = "warm cold rainy sunny windy cloudy clear foggy mild stormy";

/// What towns are like.
pub(super) const LOOKS: &str = "large warm crowded beautiful old quiet cold expensive famous green rich noisy";

pub(super) const TOPICS: [Topic; 14] = [
    Topic {
        people: "teacher student pupil professor writer librarian child/children",
        places: "school library classroom university garden hall laboratory",
        qualities: "difficult new easy interesting long short important old strange",
        acts: &[
            ("read/read/read", "", "book story/stories novel poem newspaper letter article"),
            ("write/wrote/written", "", "essay letter answer report poem"),
            ("explain", "", "lesson rule problem question theory"),
            ("solve", "", "problem puzzle riddle equation"),
            ("learn", "", "language song rule word alphabet"),
            ("look", "at", "map picture board dictionary notebook"),
            ("prepare", "for", "exam lesson test meeting"),
        ],
    },
    Topic {
        people: "baker customer butcher grocer waiter cook seller",
        places: "market shop bakery kitchen store square restaurant",
        qualities: "fresh expensive cheap sweet sour ripe small large clean",
        acts: &[
            ("buy/bought/bought", "", "loaf/loaves apple cheese egg fish/fish tomato/tomatoes cake pie"),
            ("sell/sold/sold", "", "pear grape melon pepper onion basket"),
            ("weigh", "", "potato/potatoes cherry nut plum"),
            ("ask", "about", "price recipe discount menu"),
            ("carry", "", "bag basket box crate bottle"),
            ("choose/chose/chosen", "", "melon orange lemon peach"),
            ("pay/paid/paid", "for", "meal coffee ticket bread/breads"),
        ],
    },
    Topic {
        people: "farmer shepherd gardener neighbour worker miller villager",
        places: "farm field barn village orchard meadow mill",
        qualities: "green dry wide young strong old rich muddy",
        acts: &[
            ("plant", "", "tree seed bean rose potato/potatoes"),
            ("pick", "", "apple berry flower grape mushroom"),
            ("water", "", "garden flower field tree"),
            ("feed/fed/fed", "", "cow horse hen goat sheep/sheep lamb"),
            ("repair", "", "fence roof gate wall tractor"),
            ("cut/cut/cut", "", "branch hedge log tree"),
            ("take/took/taken", "care of", "horse calf/calves garden lamb"),
        ],
    },
    Topic {
        people: "sailor captain fisherman/fishermen tourist diver passenger pilot",
        places: "harbour sea island beach ship coast port",
        qualities: "calm deep rough blue salty old fast heavy",
        acts: &[
            ("catch/caught/caught", "", "fish/fish crab eel herring"),
            ("repair", "", "boat sail net engine mast"),
            ("paint", "", "boat cabin deck lighthouse"),
            ("watch", "", "wave gull storm sunset whale"),
            ("steer", "", "ship boat raft ferry"),
            ("wait", "for", "ferry tide ship signal"),
            ("pull", "", "rope anchor net chain"),
        ],
    },
    Topic {
        people: "driver passenger policeman/policemen engineer clerk cyclist visitor",
        places: "station street square bridge airport terminal city",
        qualities: "crowded wide narrow fast slow empty noisy modern",
        acts: &[
            ("wait", "for", "bus train taxi tram passenger"),
            ("drive/drove/driven", "", "car truck bus van"),
            ("miss", "", "train bus plane ferry"),
            ("cross", "", "bridge road square tunnel"),
            ("park", "", "car van truck bicycle"),
            ("look", "for", "address hotel taxi stop"),
            ("stop", "", "car bus tram truck"),
        ],
    },
    Topic {
        people: "doctor nurse patient surgeon dentist chemist assistant",
        places: "hospital clinic pharmacy room office ward laboratory",
        qualities: "serious mild healthy weak painful new useful bitter",
        acts: &[
            ("take/took/taken", "", "pill medicine drug syrup tablet"),
            ("examine", "", "patient eye tooth/teeth heart wound"),
            ("write/wrote/written", "", "prescription report note bill"),
            ("measure", "", "pulse fever pressure weight"),
            ("treat", "", "wound fever cough disease burn"),
            ("suffer", "from", "headache cough fever cold"),
            ("recover", "from", "illness operation flu accident"),
        ],
    },
    Topic {
        people: "player coach referee runner athlete swimmer champion",
        places: "stadium field gym pool park club track",
        qualities: "fast strong exciting hard famous young tired brave",
        acts: &[
            ("watch", "", "match race final game contest"),
            ("win/won/won", "", "match medal cup race prize"),
            ("lose/lost/lost", "", "game ball race final"),
            ("throw/threw/thrown", "", "ball spear disc dart"),
            ("train", "for", "race match marathon tournament"),
            ("play", "", "game match chess/chess tennis/tennis football"),
            ("kick", "", "ball stone door bottle"),
        ],
    },
    Topic {
        people: "painter singer actor musician composer dancer director",
        places: "theatre cinema museum gallery studio hall opera",
        qualities: "beautiful famous colourful sad cheerful modern old quiet",
        acts: &[
            ("play", "", "piano violin guitar drum flute trumpet"),
            ("sing/sang/sung", "", "song hymn ballad tune"),
            ("paint", "", "picture portrait landscape face flower"),
            ("listen", "to", "concert song symphony radio opera"),
            ("watch", "", "film play dance show"),
            ("visit", "", "museum gallery palace exhibition"),
            ("admire", "", "statue voice painting building"),
        ],
    },
    Topic {
        people: "hunter climber ranger camper traveller guide woodcutter",
        places: "forest mountain lake valley camp cave river",
        qualities: "green high deep cold silent wild dark beautiful",
        acts: &[
            ("see/saw/seen", "", "bear wolf/wolves bird deer/deer fox eagle hare"),
            ("climb", "", "mountain hill tree rock"),
            ("gather", "", "mushroom stick berry stone flower"),
            ("light/lit/lit", "", "fire lamp candle torch"),
            ("build/built/built", "", "hut camp bridge raft shelter"),
            ("cross", "", "river stream valley bridge"),
            ("protect", "", "forest bird animal nest"),
        ],
    },
    Topic {
        people: "engineer programmer manager customer expert secretary designer",
        places: "office company factory meeting centre bank warehouse",
        qualities: "fast safe new clever expensive efficient complex simple",
        acts: &[
            ("develop", "", "program system model project tool"),
            ("write/wrote/written", "", "code/code report plan contract"),
            ("use", "", "computer phone robot printer program"),
            ("sign", "", "contract report letter agreement"),
            ("fix", "", "error machine report bug"),
            ("start", "", "company project meeting course"),
            ("talk", "about", "budget deadline project idea"),
        ],
    },
    Topic {
        people: "mother father grandmother guest child/children cousin cook",
        places: "house kitchen garden balcony room cellar flat",
        qualities: "warm tasty clean old cosy small dirty sweet",
        acts: &[
            ("cook", "", "soup meal cake fish/fish dinner pie"),
            ("eat/ate/eaten", "", "cake soup pie meal pudding"),
            ("clean", "", "room kitchen window carpet table"),
            ("wash", "", "dish plate shirt cup"),
            ("open", "", "door window drawer curtain"),
            ("wait", "for", "guest neighbour letter holiday"),
            ("make/made/made", "", "bed breakfast coffee sandwich"),
        ],
    },
    Topic {
        people: "lawyer judge president minister clerk citizen reporter",
        places: "court parliament ministry council hall office",
        qualities: "fair important new valid official open strict long",
        acts: &[
            ("accept", "", "law decision offer budget proposal"),
            ("discuss", "", "law problem decision article"),
            ("defend", "", "right view decision prisoner"),
            ("sign", "", "treaty law petition agreement"),
            ("choose/chose/chosen", "", "president member leader council"),
            ("study", "", "file document report case"),
            ("object", "to", "decision fine result plan"),
        ],
    },
    Topic {
        people: "king soldier historian queen guide traveller knight",
        places: "palace castle museum tower temple ruin monument",
        qualities: "old splendid historic famous ruined secret rich holy",
        acts: &[
            ("conquer", "", "city castle country island"),
            ("build/built/built", "", "bridge palace temple wall tower"),
            ("find/found/found", "", "treasure tomb statue coin scroll"),
            ("study", "", "map ruin document inscription"),
            ("visit", "", "castle palace museum temple"),
            ("tell/told/told", "", "story/stories legend tale secret"),
            ("fight/fought/fought", "for", "city crown king country"),
        ],
    },
    Topic {
        people: "scientist researcher physicist astronomer student chemist biologist",
        places: "laboratory observatory university institute centre congress",
        qualities: "important true new complex interesting false exact small",
        acts: &[
            ("study", "", "cell star plant planet insect"),
            ("measure", "", "temperature speed pressure distance"),
            ("discover", "", "star law drug species/species planet"),
            ("publish", "", "article book report result"),
            ("prove/proved/proven", "", "theory idea claim"),
            ("make/made/made", "", "experiment discovery model measurement"),
            ("doubt", "", "result number method claim"),
        ],
    },
];

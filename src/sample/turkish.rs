//! What does a Turkish document say? Sentences with the verb at the end, about one topic, with a hero, a friend and a
//! few things that come back. The forms of words are [`super::morphology`]'s business, the words are
//! [`super::turkish_words`]'s.

use super::draw::Draw;
use super::morphology::{Case, Form, Person, Tense, Verb, capitalised};
use super::turkish_words::{CITIES, FEELINGS, KIN, LOOKS, NAMES, TOPICS, WEATHER};

/// Something that is done: a verb, the case it asks for, and what it is done to.
#[derive(Debug, Clone, Copy)]
struct Act {
    verb: &'static str,
    case: Case,
    thing: &'static str,
}

#[derive(Debug, Clone)]
struct Topic {
    people: Vec<&'static str>,
    places: Vec<&'static str>,
    qualities: Vec<&'static str>,
    acts: Vec<Vec<Act>>,
}

/// What a document holds on to from its first sentence to its last.
#[derive(Debug)]
struct Scene {
    topic: Topic,
    hero: &'static str,
    friend: &'static str,
    city: &'static str,
    place: &'static str,
    acts: Vec<Act>,
    qualities: Vec<&'static str>,
    tense: Tense,
    person: Person,
    sentence: u32,
}

/// Writes documents without end.
pub(super) struct Writer {
    draw: Draw,
    topics: Vec<Topic>,
    names: Vec<&'static str>,
    cities: Vec<&'static str>,
    kin: Vec<&'static str>,
    feelings: Vec<&'static str>,
    weather: Vec<&'static str>,
    looks: Vec<&'static str>,
}

fn words(list: &'static str) -> Vec<&'static str> {
    list.split_whitespace().collect()
}

fn inflect(stem: &str, case: Case) -> String {
    Form::of(stem).case(case).text()
}

fn name(name: &str, case: Case) -> String {
    Form::name(name).case(case).text()
}

fn plain(stem: &str) -> String {
    Form::of(stem).text()
}

/// "X de": also X.
fn also(name: &str) -> String {
    Form::of(name).add(" dA").text()
}

/// "X is" or "X was", as the tense of the story has it.
fn is(stem: &str, tense: Tense, person: Person) -> String {
    let ending = match (tense, person) {
        (Tense::Progressive | Tense::Aorist, Person::I) => "(y)Im",
        (Tense::Progressive | Tense::Aorist, Person::We) => "(y)Iz",
        (Tense::Progressive | Tense::Aorist, _) => "",
        (_, Person::I) => "(y)DIm",
        (_, Person::We) => "(y)DIk",
        _ => "(y)DI",
    };
    Form::of(stem).add(ending).text()
}

impl Writer {
    pub(super) fn new(draw: Draw) -> Self {
        let topics = TOPICS.iter().map(|topic| Topic {
            people: words(topic.people),
            places: words(topic.places),
            qualities: words(topic.qualities),
            acts: topic
                .acts
                .iter()
                .map(|&(verb, case, things)| words(things).into_iter().map(|thing| Act { verb, case, thing }).collect())
                .collect(),
        });
        Self {
            draw,
            topics: topics.collect(),
            names: words(NAMES),
            cities: words(CITIES),
            kin: words(KIN),
            feelings: words(FEELINGS),
            weather: words(WEATHER),
            looks: words(LOOKS),
        }
    }

    /// One document: four to nine sentences on one line.
    pub(super) fn document(&mut self) -> String {
        let mut scene = self.scene();
        let count = self.draw.number(4, 9);
        let mut sentences = Vec::new();
        while scene.sentence < count {
            let sentence = self.sentence(&scene);
            sentences.push(capitalised(&sentence));
            scene.sentence += 1;
        }
        sentences.join(" ")
    }

    fn scene(&mut self) -> Scene {
        let topic = self.draw.even(&self.topics).clone();
        let hero = self.draw.word(&self.names);
        let mut friend = self.draw.word(&self.names);
        while friend == hero {
            friend = self.draw.word(&self.names);
        }
        let acts = (0..3)
            .map(|_| {
                let of_a_verb = self.draw.zipf(&topic.acts);
                *self.draw.zipf(of_a_verb)
            })
            .collect();
        let qualities = (0..2).map(|_| self.draw.word(&topic.qualities)).collect();
        let tenses =
            [Tense::Past, Tense::Past, Tense::Progressive, Tense::Aorist, Tense::Reported, Tense::PastProgressive];
        let persons = [Person::It, Person::It, Person::It, Person::I, Person::We];
        Scene {
            hero,
            friend,
            city: self.draw.word(&self.cities),
            place: self.draw.word(&topic.places),
            acts,
            qualities,
            tense: *self.draw.even(&tenses),
            person: *self.draw.even(&persons),
            sentence: 0,
            topic,
        }
    }

    /// Mostly what the document is about already, now and then something else of its topic.
    fn act(&mut self, scene: &Scene) -> Act {
        if self.draw.chance(0.75) {
            return *self.draw.zipf(&scene.acts);
        }
        let of_a_verb = self.draw.zipf(&scene.topic.acts);
        *self.draw.zipf(of_a_verb)
    }

    fn place(&mut self, scene: &Scene, case: Case) -> String {
        if self.draw.chance(0.2) {
            return name(scene.city, case);
        }
        let place = if self.draw.chance(0.6) { scene.place } else { self.draw.word(&scene.topic.places) };
        inflect(place, case)
    }

    fn quality(&mut self, scene: &Scene) -> &'static str {
        if self.draw.chance(0.7) { self.draw.word(&scene.qualities) } else { self.draw.word(&scene.topic.qualities) }
    }

    /// Who does it: named at first and now and then, left to the verb's ending otherwise.
    fn subject(&mut self, scene: &Scene) -> String {
        match scene.person {
            Person::I => if self.draw.chance(0.25) { "ben " } else { "" }.to_string(),
            Person::We => if self.draw.chance(0.3) { "biz " } else { "" }.to_string(),
            _ if scene.sentence == 0 || self.draw.chance(0.55) => format!("{} ", scene.hero),
            _ => String::new(),
        }
    }

    fn of_subject(&self, scene: &Scene) -> String {
        match scene.person {
            Person::I => "benim".to_string(),
            Person::We => "bizim".to_string(),
            _ => name(scene.hero, Case::Genitive),
        }
    }

    /// The thing an act is done to, in the case the verb asks for.
    fn thing(&mut self, scene: &Scene, act: Act) -> String {
        let mut case = act.case;
        let mut words = String::new();
        if self.draw.chance(0.25) {
            words = plain(self.quality(scene)) + " ";
        }
        let form = Form::of(act.thing);
        let form = match self.draw.number(0, 9) {
            0 | 1 => form.plural(),
            2 => form.owned_by(scene.person),
            3 => form.plural().owned_by(scene.person),
            // Somebody's: the owner stands before it, with a possessive of their own.
            9 => {
                let kin = Form::of(self.draw.word(&self.kin)).owned_by(scene.person).case(Case::Genitive);
                words = format!("{} {words}", kin.text());
                form.owned_by(Person::It)
            }
            4 | 5 if case == Case::Accusative => {
                case = Case::Bare;
                if !words.is_empty() {
                    words += "bir ";
                }
                form
            }
            _ => form,
        };
        words + &form.case(case).text()
    }

    fn deed(&mut self, scene: &Scene, act: Act, verb: &Verb, tense: Tense, person: Person) -> String {
        format!("{} {}", self.thing(scene, act), verb.finite(tense, person))
    }

    fn when(&mut self, tense: Tense) -> String {
        let (before, general, to_come) = (
            ["dün", "geçen hafta", "o gün", "dün akşam", "sabah erkenden", "bayramda", "yazın", "bir gün", "geçen yıl"],
            ["her sabah", "bugün", "genellikle", "bazen", "her yıl", "hafta sonları", "akşamları", "her zaman"],
            ["yarın", "gelecek hafta", "birazdan", "yakında", "önümüzdeki yıl", "bu akşam", "öbür gün", "sonra"],
        );
        match tense {
            Tense::Past | Tense::Reported | Tense::PastProgressive | Tense::Pluperfect => {
                match self.draw.number(0, 5) {
                    0 => Form::number(self.draw.number(1923, 2024)).case(Case::Locative).text(),
                    1 => format!("{} gün önce", self.draw.number(2, 20)),
                    2 => format!("saat {}", Form::number(self.draw.number(1, 12)).case(Case::Locative).text()),
                    _ => self.draw.word(&before).to_string(),
                }
            }
            Tense::Future | Tense::Conditional | Tense::Necessity => self.draw.word(&to_come).to_string(),
            Tense::Progressive | Tense::Aorist => self.draw.word(&general).to_string(),
        }
    }

    fn going(&mut self) -> &'static str {
        self.draw.word(&["giD", "gel", "dön", "koş", "uğra"])
    }

    /// One sentence, with its full stop.
    fn sentence(&mut self, scene: &Scene) -> String {
        let act = self.act(scene);
        let verb = Verb::of(act.verb);
        let (tense, person) = (scene.tense, scene.person);
        if scene.sentence == 0 {
            let (when, subject, place) = (self.when(tense), self.subject(scene), self.place(scene, Case::Locative));
            return format!("{when} {subject}{place} {}.", self.deed(scene, act, &verb, tense, person));
        }
        let kinds = [0, 2, 10, 4, 1, 7, 5, 17, 3, 8, 6, 14, 18, 13, 20, 21, 22, 9, 15, 23, 24, 12, 16, 11, 19];
        match self.draw.zipf(&kinds) {
            0 => {
                let (when, subject) = (self.when(tense), self.subject(scene));
                let place = self.place(scene, Case::Locative);
                format!("{when} {subject}{place} {}.", self.deed(scene, act, &verb, tense, person))
            }
            1 => {
                let (thing, other) =
                    (self.thing(scene, act), self.draw.word(&["vakit", "para", "imkan", "yer", "gerek"]));
                format!(
                    "ama {thing} {}, çünkü {other} {}.",
                    verb.negated().finite(tense, person),
                    is("yok", tense, Person::It)
                )
            }
            2 => {
                let (subject, place) = (self.subject(scene), self.place(scene, Case::Dative));
                let going = Verb::of(self.going()).converb("(y)Ip");
                format!("{subject}{place} {going} {}.", self.deed(scene, act, &verb, tense, person))
            }
            3 => {
                let (owner, quality) = (self.of_subject(scene), self.quality(scene));
                format!(
                    "{owner} {} {} çok {}.",
                    verb.deed(person).text(),
                    plain(act.thing),
                    is(quality, tense, Person::It)
                )
            }
            4 => {
                let (subject, thing) = (self.subject(scene), self.thing(scene, act));
                let (place, going) = (self.place(scene, Case::Dative), self.going());
                let after = verb.converb("DIktAn");
                format!("{subject}{thing} {after} sonra {place} {}.", Verb::of(going).finite(tense, person))
            }
            5 => {
                let (subject, thing, place) =
                    (self.subject(scene), self.thing(scene, act), self.place(scene, Case::Dative));
                let going = Verb::of(self.going()).finite(tense, person);
                format!("{subject}{thing} {} için {place} {going}.", verb.infinitive())
            }
            6 => {
                let (owner, thing) = (self.of_subject(scene), self.thing(scene, act));
                let wish = self.draw.word(&["iste", "bekle", "söyle", "öner"]);
                let doing = verb.doing(person).case(Case::Accusative).text();
                format!("{}, {owner} {thing} {doing} {}.", scene.friend, Verb::of(wish).finite(tense, Person::It))
            }
            7 => {
                let thing = self.thing(scene, act);
                let asked = match self.draw.number(0, 2) {
                    0 => verb.asked(Tense::Past, Person::You),
                    1 => verb.asked(Tense::Progressive, Person::You),
                    _ => verb.asked(Tense::Future, Person::YouAll),
                };
                format!("“{} {asked}?” diye sordu {}.", capitalised(&thing), scene.friend)
            }
            8 => {
                let (place, many) = (self.place(scene, Case::Locative), self.draw.number(2, 99));
                let what = if self.draw.chance(0.5) { act.thing } else { self.draw.word(&scene.topic.people) };
                format!("{place} {many} {} {}.", plain(what), is("var", tense, Person::It))
            }
            9 => {
                let (weather, when) = (plain(self.draw.word(&self.weather)), self.when(Tense::Future));
                let will = self.deed(scene, act, &verb, Tense::Future, person);
                format!("hava {weather} {} {when} {will}.", Verb::of("ol").finite(Tense::Conditional, Person::It))
            }
            10 => {
                let (subject, thing) = (self.subject(scene), self.thing(scene, act));
                let feeling = is(self.draw.word(&self.feelings), tense, person);
                format!("{subject}{thing} {} için çok {feeling}.", verb.deed(person).text())
            }
            11 => {
                let (thing, place) = (self.thing(scene, act), self.place(scene, Case::Locative));
                let told = verb.finite(Tense::Reported, Person::It);
                format!("söylenene göre {} {place} {thing} {told}.", scene.friend)
            }
            12 => {
                let other = self.draw.word(&self.cities);
                let quality = is(self.draw.word(&self.looks), tense, Person::It);
                let than = if other == scene.city { "her yerden".into() } else { name(other, Case::Ablative) };
                format!("{} {than} daha {quality}.", scene.city)
            }
            13 => {
                let (subject, thing) = (self.subject(scene), self.thing(scene, act));
                if self.draw.chance(0.5) {
                    format!("{subject}artık {thing} {}.", verb.able().finite(Tense::Aorist, person))
                } else {
                    format!("{subject}yine de {thing} {}.", verb.unable().finite(tense, person))
                }
            }
            14 => {
                let (subject, thing) = (self.subject(scene), self.thing(scene, act));
                let want = Verb::of("iste").finite(Tense::PastProgressive, person);
                format!("{subject}{thing} {} {want}.", verb.infinitive())
            }
            15 => {
                let (owner, kin) = (self.of_subject(scene), self.draw.word(&self.kin));
                let (kin, job) =
                    (Form::of(kin).owned_by(person).text(), is(self.draw.word(&scene.topic.people), tense, Person::It));
                format!("{owner} {kin} {} {job}.", name(scene.city, Case::Locative))
            }
            16 if act.case == Case::Accusative => {
                let (place, thing) = (self.place(scene, Case::Locative), plain(act.thing));
                format!("{place} {thing} {}.", verb.passive().finite(tense, Person::It))
            }
            17 | 16 => {
                let thing = self.thing(scene, act);
                format!("{} {thing} {}.", also(scene.friend), verb.finite(tense, Person::It))
            }
            18 => {
                let (subject, thing) = (self.subject(scene), self.thing(scene, act));
                let (while_, going) = (verb.finite(Tense::Aorist, Person::It), self.going());
                let place = self.place(scene, Case::Dative);
                let came = Verb::of(going).finite(tense, Person::It);
                format!("{subject}{thing} {while_}ken {} {place} {came}.", scene.friend)
            }
            20 => {
                let (place, told) = (self.place(scene, Case::Locative), verb.finite(tense, Person::They));
                format!("{} ile {} {place} {} {told}.", scene.hero, scene.friend, self.thing(scene, act))
            }
            21 => {
                let (subject, thing) = (self.subject(scene), self.thing(scene, act));
                format!("{subject}daha önce {thing} {}.", verb.finite(Tense::Pluperfect, person))
            }
            22 => {
                let (when, thing) = (self.when(Tense::Future), self.thing(scene, act));
                format!("{} {when} {thing} {}.", scene.friend, verb.finite(Tense::Necessity, Person::It))
            }
            23 => {
                let (subject, without) = (self.subject(scene), Form::of(act.thing).add("sIz").text());
                format!("{subject}{} {without} {}.", self.when(tense), Verb::of("kal").finite(tense, person))
            }
            24 => {
                let (place, quality) = (self.place(scene, Case::Locative), self.quality(scene));
                let things = Form::of(act.thing).plural().text();
                format!("{place}ki {things} çok {}.", is(quality, tense, Person::It))
            }
            _ => {
                let (thing, who) = (self.thing(scene, act), self.draw.word(&scene.topic.people));
                let feeling = is(self.draw.word(&self.feelings), tense, Person::It);
                format!("{thing} {} {} {feeling}.", verb.doer(), plain(who))
            }
        }
    }
}

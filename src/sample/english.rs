//! What does an English-like document say? Sentences with subject, verb and object, about one topic, with a hero, a
//! friend and a few things that come back. The words are [`super::english_words`]'s business.

use super::draw::Draw;
use super::english_words::{CITIES, FEELINGS, KIN, LOOKS, NAMES, TOPICS, WEATHER};

/// A noun, singular and plural.
#[derive(Debug, Clone)]
struct Noun {
    one: &'static str,
    many: String,
}

/// A verb's forms.
#[derive(Debug, Clone)]
struct Verb {
    base: &'static str,
    third: String,
    past: String,
    participle: String,
    ing: String,
}

/// Something that is done: a verb, its preposition, and what it is done to.
#[derive(Debug, Clone)]
struct Act {
    verb: Verb,
    preposition: &'static str,
    thing: Noun,
}

#[derive(Debug, Clone)]
struct Topic {
    people: Vec<Noun>,
    places: Vec<&'static str>,
    qualities: Vec<&'static str>,
    acts: Vec<Vec<Act>>,
}

/// When a document happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tense {
    Past,
    Present,
    PastProgressive,
}

/// What a document holds on to from its first sentence to its last.
struct Scene {
    topic: Topic,
    hero: &'static str,
    pronoun: &'static str,
    friend: &'static str,
    city: &'static str,
    place: &'static str,
    acts: Vec<Act>,
    qualities: Vec<&'static str>,
    tense: Tense,
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

fn is_vowel(c: char) -> bool {
    "aeiou".contains(c)
}

/// Whether the last consonant doubles before -ed, -ing and -er: one short syllable that ends in one consonant.
fn doubles(word: &str) -> bool {
    let letters: Vec<char> = word.chars().rev().take(3).collect();
    let vowels = word.chars().filter(|c| is_vowel(*c)).count();
    matches!(letters[..], [last, vowel, before]
        if vowels == 1 && !is_vowel(last) && !"wxy".contains(last) && is_vowel(vowel) && !is_vowel(before))
}

/// The word with -s: of a plural, or of the third person.
fn with_s(word: &str) -> String {
    if ["s", "x", "z", "ch", "sh"].iter().any(|ending| word.ends_with(ending)) {
        return format!("{word}es");
    }
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(is_vowel) => format!("{stem}ies"),
        _ => format!("{word}s"),
    }
}

/// The word with -ed or -er, `ending` without its e.
fn with_e(word: &str, ending: char) -> String {
    match (word.strip_suffix('y'), word.chars().last()) {
        (Some(stem), _) if !stem.ends_with(is_vowel) => format!("{stem}ie{ending}"),
        (_, Some('e')) => format!("{word}{ending}"),
        (_, Some(last)) if doubles(word) => format!("{word}{last}e{ending}"),
        _ => format!("{word}e{ending}"),
    }
}

fn with_ing(word: &str) -> String {
    match (word.strip_suffix('e'), word.chars().last()) {
        (Some(stem), _) if !stem.ends_with(['e', 'o']) => format!("{stem}ing"),
        (_, Some(last)) if doubles(word) => format!("{word}{last}ing"),
        _ => format!("{word}ing"),
    }
}

fn article(word: &str) -> String {
    let vowel = word.starts_with(is_vowel) && !["uni", "use", "eu", "one"].iter().any(|s| word.starts_with(s));
    format!("{} {word}", if vowel || word.starts_with("hour") { "an" } else { "a" })
}

fn comparative(quality: &str) -> String {
    let sounded = quality.strip_suffix('e').unwrap_or(quality);
    let syllables = sounded.split(|c| !is_vowel(c)).filter(|part| !part.is_empty()).count();
    if syllables == 1 || quality.ends_with('y') { with_e(quality, 'r') } else { format!("more {quality}") }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + letters.as_str())
}

impl Noun {
    fn of(entry: &'static str) -> Self {
        let (one, many) = entry.split_once('/').map_or((entry, with_s(entry)), |(one, many)| (one, many.to_string()));
        Self { one, many }
    }
}

impl Verb {
    fn of(entry: &'static str) -> Self {
        let mut forms = entry.split('/');
        let base = forms.next().unwrap_or(entry);
        let past = forms.next().map_or_else(|| with_e(base, 'd'), str::to_string);
        let participle = forms.next().map_or_else(|| past.clone(), str::to_string);
        let third = if base.ends_with('o') { format!("{base}es") } else { with_s(base) };
        Self { base, third, past, participle, ing: with_ing(base) }
    }

    fn told(&self, tense: Tense) -> String {
        match tense {
            Tense::Past => self.past.clone(),
            Tense::Present => self.third.clone(),
            Tense::PastProgressive => format!("was {}", self.ing),
        }
    }

    fn denied(&self, tense: Tense) -> String {
        match tense {
            Tense::Past => format!("did not {}", self.base),
            Tense::Present => format!("does not {}", self.base),
            Tense::PastProgressive => format!("was not {}", self.ing),
        }
    }
}

fn words(list: &'static str) -> Vec<&'static str> {
    list.split_whitespace().collect()
}

impl Writer {
    pub(super) fn new(draw: Draw) -> Self {
        let topics = TOPICS.iter().map(|topic| Topic {
            people: words(topic.people).into_iter().map(Noun::of).collect(),
            places: words(topic.places),
            qualities: words(topic.qualities),
            acts: topic
                .acts
                .iter()
                .map(|&(verb, preposition, things)| {
                    let act = |thing| Act { verb: Verb::of(verb), preposition, thing: Noun::of(thing) };
                    words(things).into_iter().map(act).collect()
                })
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
        let scene = self.scene();
        let count = self.draw.number(4, 9);
        let sentences: Vec<String> = (0..count).map(|i| capitalised(&self.sentence(&scene, i == 0))).collect();
        sentences.join(" ")
    }

    fn scene(&mut self) -> Scene {
        let topic = self.draw.even(&self.topics).clone();
        let hero = self.draw.word(&self.names);
        let mut friend = self.draw.word(&self.names);
        while friend == hero {
            friend = self.draw.word(&self.names);
        }
        // Names stand in turn for women and men in the list.
        let position = self.names.iter().position(|name| *name == hero).unwrap_or(0);
        let acts = (0..3).map(|_| {
            let of_a_verb = self.draw.zipf(&topic.acts);
            self.draw.zipf(of_a_verb).clone()
        });
        let acts = acts.collect();
        Scene {
            hero,
            pronoun: if position.is_multiple_of(2) { "she" } else { "he" },
            friend,
            city: self.draw.word(&self.cities),
            place: self.draw.word(&topic.places),
            acts,
            qualities: (0..2).map(|_| self.draw.word(&topic.qualities)).collect(),
            tense: *self.draw.even(&[Tense::Past, Tense::Past, Tense::Past, Tense::Present, Tense::PastProgressive]),
            topic,
        }
    }

    /// Mostly what the document is about already, now and then something else of its topic.
    fn act(&mut self, scene: &Scene) -> Act {
        if self.draw.chance(0.75) {
            return self.draw.zipf(&scene.acts).clone();
        }
        let of_a_verb = self.draw.zipf(&scene.topic.acts);
        self.draw.zipf(of_a_verb).clone()
    }

    fn place(&mut self, scene: &Scene) -> String {
        match self.draw.number(0, 9) {
            0 | 1 => scene.city.to_string(),
            2..=6 => format!("the {}", scene.place),
            _ => format!("the {}", self.draw.word(&scene.topic.places)),
        }
    }

    fn quality(&mut self, scene: &Scene) -> &'static str {
        if self.draw.chance(0.7) { self.draw.word(&scene.qualities) } else { self.draw.word(&scene.topic.qualities) }
    }

    fn subject(&mut self, scene: &Scene) -> &'static str {
        if self.draw.chance(0.55) { scene.hero } else { scene.pronoun }
    }

    /// What an act is done to, with its preposition and article.
    fn thing(&mut self, scene: &Scene, act: &Act) -> String {
        let quality = if self.draw.chance(0.3) { format!("{} ", self.quality(scene)) } else { String::new() };
        let noun = match self.draw.number(0, 9) {
            0..=3 => article(&format!("{quality}{}", act.thing.one)),
            4..=6 => format!("the {quality}{}", act.thing.one),
            7 => format!("the {quality}{}", act.thing.many),
            8 => format!("{} {quality}{}", self.draw.number(2, 30), act.thing.many),
            _ => format!("{} {quality}{}", if scene.pronoun == "she" { "her" } else { "his" }, act.thing.one),
        };
        if act.preposition.is_empty() { noun } else { format!("{} {noun}", act.preposition) }
    }

    fn when(&mut self, tense: Tense) -> String {
        match (tense, self.draw.number(0, 4)) {
            (Tense::Past, 0) => format!("in {}", self.draw.number(1850, 2024)),
            (Tense::Past, 1) => format!("{} days ago", self.draw.number(2, 20)),
            (Tense::Past, _) => self
                .draw
                .word(&["yesterday", "last week", "one day", "that morning", "last year", "in the evening"])
                .to_string(),
            (Tense::Present, _) => self
                .draw
                .word(&["every day", "in the morning", "on Sundays", "sometimes", "in summer", "now"])
                .to_string(),
            (Tense::PastProgressive, _) => {
                self.draw.word(&["that day", "at noon", "in the evening", "all morning", "at that time"]).to_string()
            }
        }
    }

    /// One sentence, with its full stop.
    fn sentence(&mut self, scene: &Scene, first: bool) -> String {
        let act = self.act(scene);
        let (verb, tense) = (&act.verb, scene.tense);
        let told = verb.told(tense);
        let subject = if first { scene.hero } else { self.subject(scene) };
        let thing = self.thing(scene, &act);
        let is = if tense == Tense::Present { "is" } else { "was" };
        let kinds = [1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        match if first { &0 } else { self.draw.zipf(&kinds) } {
            0 => format!("{}, {subject} {told} {thing} in {}.", self.when(tense), self.place(scene)),
            1 => format!("{subject} {told} {thing} in {}.", self.place(scene)),
            2 => {
                let feeling = self.draw.word(&self.feelings);
                format!("{subject} {is} {feeling} because {} {told} {thing}.", scene.pronoun)
            }
            3 => {
                let going = Verb::of(self.draw.word(&["go/went/gone", "walk", "return", "hurry", "come/came/come"]));
                format!("{subject} {} to {} and {told} {thing}.", going.told(tense), self.place(scene))
            }
            4 => {
                format!("the {} that {subject} {told}{} {is} very {}.", act.thing.one, after(&act), self.quality(scene))
            }
            5 => {
                let going = Verb::of(self.draw.word(&["go/went/gone", "walk", "return", "drive/drove/driven"]));
                let to = self.place(scene);
                format!("after {} {thing}, {subject} {} to {to}.", verb.ing, going.told(tense))
            }
            6 => format!("{} also {told} {thing}.", scene.friend),
            7 => format!("but {subject} {} {thing}.", verb.denied(tense)),
            8 => format!(
                "{subject} {} to {} {thing}.",
                if tense == Tense::Present { "wants" } else { "wanted" },
                verb.base
            ),
            9 => {
                let asked = match self.draw.number(0, 2) {
                    0 => format!("did you {}", verb.base),
                    1 => format!("will you {}", verb.base),
                    _ => format!("have you {}", verb.participle),
                };
                format!("“{} {thing}?” asked {}.", capitalised(&asked), scene.friend)
            }
            10 => {
                let many = self.draw.number(2, 99);
                let what = if self.draw.chance(0.5) {
                    act.thing.many.clone()
                } else {
                    self.draw.zipf(&scene.topic.people).many.clone()
                };
                let are = if tense == Tense::Present { "are" } else { "were" };
                format!("there {are} {many} {what} in {}.", self.place(scene))
            }
            11 => {
                let weather = self.draw.word(&self.weather);
                format!("if it is {weather} tomorrow, {subject} will {} {thing}.", verb.base)
            }
            12 => {
                let place = self.place(scene);
                format!(
                    "{} {is} {} by {} in {place}.",
                    capitalised(&thing_of(&act)),
                    verb.participle.clone() + after(&act).as_str(),
                    scene.friend
                )
            }
            13 => format!("while {} {told} {thing}, {} {}.", scene.pronoun, scene.friend, self.aside(tense)),
            14 => {
                let (other, look) = (self.draw.word(&self.cities), comparative(self.draw.word(&self.looks)));
                let than = if other == scene.city { "any other town" } else { other };
                format!("{} {is} {look} than {than}.", scene.city)
            }
            15 => {
                let (kin, job) = (self.draw.word(&self.kin), self.draw.zipf(&scene.topic.people).one);
                format!("{}'s {kin} {is} {} in {}.", scene.hero, article(job), scene.city)
            }
            _ => {
                let who = self.draw.zipf(&scene.topic.people).one;
                let feeling = self.draw.word(&self.feelings);
                format!("the {who} who {told} {thing} {is} {feeling}.")
            }
        }
    }

    fn aside(&mut self, tense: Tense) -> String {
        let verb = Verb::of(self.draw.word(&["sleep/slept/slept", "laugh", "sing/sang/sung", "arrive"]));
        verb.told(tense)
    }
}

/// The preposition that is left behind when the thing has moved to the front, with a space before it.
fn after(act: &Act) -> String {
    if act.preposition.is_empty() { String::new() } else { format!(" {}", act.preposition) }
}

fn thing_of(act: &Act) -> String {
    format!("the {}", act.thing.one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_third_persons_are_spelt() {
        let cases = [("book", "books"), ("box", "boxes"), ("berry", "berries"), ("boy", "boys"), ("watch", "watches")];
        for (word, expected) in cases {
            assert_eq!(with_s(word), expected);
        }
        assert_eq!(Noun::of("wolf/wolves").many, "wolves");
    }

    #[test]
    fn verbs_have_their_forms() {
        let forms = |entry| {
            let v = Verb::of(entry);
            [v.third, v.past, v.participle, v.ing].join(" ")
        };
        assert_eq!(forms("go/went/gone"), "goes went gone going");
        assert_eq!(forms("stop"), "stops stopped stopped stopping");
        assert_eq!(forms("carry"), "carries carried carried carrying");
        assert_eq!(forms("write/wrote/written"), "writes wrote written writing");
        assert_eq!(forms("cut/cut/cut"), "cuts cut cut cutting");
        assert_eq!(forms("see/saw/seen"), "sees saw seen seeing");
        assert_eq!(forms("fix"), "fixes fixed fixed fixing");
        assert_eq!(forms("visit"), "visits visited visited visiting");
        assert_eq!(forms("prepare"), "prepares prepared prepared preparing");
    }

    #[test]
    fn articles_and_comparatives_follow_the_sound() {
        assert_eq!(article("apple"), "an apple");
        assert_eq!(article("useful pill"), "a useful pill");
        assert_eq!(article("book"), "a book");
        assert_eq!(comparative("big"), "bigger");
        assert_eq!(comparative("large"), "larger");
        assert_eq!(comparative("noisy"), "noisier");
        assert_eq!(comparative("famous"), "more famous");
    }
}

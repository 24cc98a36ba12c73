//! How does a Turkish word take its suffixes? Two-way and four-way vowel harmony, softening and voicing of
//! consonants, buffer letters, falling vowels, the apostrophe of proper names. Knows forms, not meanings: which
//! word stands where is [`super::turkish`]'s business.
//!
//! Stems are written as they sound at the seam: a capital `B C D K G` at the end is hard before a consonant and
//! soft before a vowel (`kitaB`: kitap, kitabı; `renG`: renk, rengi), `~` stands before a vowel that falls
//! (`şeh~ir`: şehir, şehri), `^` after a stem with back vowels that takes front suffixes (`saat^`: saati).
//!
//! Suffixes are written with `A` (a/e), `I` (ı/i/u/ü), `D` (d/t), `C` (c/ç), `K` (k, soft ğ), and a first letter in
//! brackets that appears only where it keeps two vowels or two consonants apart: `(y)I`, `(I)mIz`.

/// First, second, third person, singular and plural: who owns, or who does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Person {
    I,
    You,
    It,
    We,
    YouAll,
    They,
}

/// What a noun is to its sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Bare,
    Accusative,
    Dative,
    Locative,
    Ablative,
    Genitive,
    Instrumental,
}

/// When, and whether it was seen, meant or only wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    Past,
    Progressive,
    Future,
    Reported,
    Aorist,
    PastProgressive,
    Pluperfect,
    Conditional,
    Necessity,
}

/// A word, growing at its end.
#[derive(Debug, Clone)]
pub(super) struct Form {
    text: String,
    /// What the last consonant becomes before a vowel.
    soft: Option<char>,
    /// The vowel before the last consonant falls before a vowel.
    falling: bool,
    /// The stem's last vowel counts as its front partner.
    fronted: bool,
    /// Suffixes of inflection stand after an apostrophe, and writing does not soften.
    proper: bool,
    /// Ends in a third person's possessive: cases take an n.
    pronominal: bool,
    plural: bool,
    /// How a number ends when it is read aloud.
    spoken: Option<&'static str>,
}

fn is_vowel(c: char) -> bool {
    "aeıioöuüAEIİOÖUÜ".contains(c)
}

/// The harmony vowel for `A`.
fn two_way(last: char) -> char {
    if "eiöüEİÖÜ".contains(last) { 'e' } else { 'a' }
}

/// The harmony vowel for `I`.
fn four_way(last: char) -> char {
    match last {
        'a' | 'ı' | 'A' | 'I' => 'ı',
        'o' | 'u' | 'O' | 'U' => 'u',
        'ö' | 'ü' | 'Ö' | 'Ü' => 'ü',
        _ => 'i',
    }
}

impl Form {
    /// A common noun, adjective or verb stem in the notation of this file.
    pub(super) fn of(stem: &str) -> Self {
        let (stem, fronted) = stem.strip_suffix('^').map_or((stem, false), |s| (s, true));
        let falling = stem.contains('~');
        let mut text = stem.replace('~', "");
        let ending = match text.chars().last() {
            Some('B') => Some(('p', 'b')),
            Some('C') => Some(('ç', 'c')),
            Some('D') => Some(('t', 'd')),
            Some('K') => Some(('k', 'ğ')),
            Some('G') => Some(('k', 'g')),
            _ => None,
        };
        if let Some((hard, _)) = ending {
            text.pop();
            text.push(hard);
        }
        let soft = ending.map(|(_, soft)| soft);
        Self { text, soft, falling, fronted, proper: false, pronominal: false, plural: false, spoken: None }
    }

    /// A proper name.
    pub(super) fn name(name: &str) -> Self {
        Self { proper: true, ..Self::of(name) }
    }

    /// A number in figures; its suffixes follow how it is read.
    pub(super) fn number(n: u32) -> Self {
        Self { proper: true, spoken: Some(last_spoken_word(n)), ..Self::of(&n.to_string()) }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    fn last_letter(&self) -> char {
        self.spoken.unwrap_or(&self.text).chars().last().unwrap_or('a')
    }

    fn last_vowel(&self) -> char {
        let vowel = self.spoken.unwrap_or(&self.text).chars().rev().find(|c| is_vowel(*c)).unwrap_or('e');
        match vowel {
            'a' if self.fronted => 'e',
            'o' if self.fronted => 'ö',
            'u' if self.fronted => 'ü',
            'ı' if self.fronted => 'i',
            other => other,
        }
    }

    /// The word with one more suffix, in the notation of this file.
    pub(super) fn add(mut self, suffix: &str) -> Self {
        let mut vowel = self.last_vowel();
        let mut last = self.last_letter();
        let mut letters: Vec<char> = suffix.chars().collect();
        if let ['(', first, ')', rest @ ..] = letters.as_slice() {
            // A bracketed vowel parts two consonants, a bracketed consonant two vowels.
            let keep = is_vowel(*first) != is_vowel(last);
            letters = keep.then_some(*first).into_iter().chain(rest.iter().copied()).collect();
        }
        if letters.is_empty() {
            return self;
        }
        if self.proper {
            self.text.push('\'');
        } else if letters.first().is_some_and(|c| is_vowel(*c)) {
            if let Some(soft) = self.soft {
                self.text.pop();
                self.text.push(soft);
            }
            if self.falling
                && let Some(consonant) = self.text.pop()
            {
                self.text.pop();
                self.text.push(consonant);
            }
        }
        let mut soft = None;
        for letter in letters {
            soft = None;
            let voiceless = "fstkçşhp".contains(last);
            last = match letter {
                'A' => two_way(vowel),
                'I' => four_way(vowel),
                'D' if voiceless => 't',
                'D' => 'd',
                'C' if voiceless => 'ç',
                'C' => 'c',
                'K' => {
                    soft = Some('ğ');
                    'k'
                }
                plain => plain,
            };
            if is_vowel(last) {
                vowel = last;
            }
            self.text.push(last);
        }
        Self { text: self.text, soft, plural: self.plural, ..Self::of("") }
    }

    pub(super) fn plural(self) -> Self {
        Self { plural: true, ..self.add("lAr") }
    }

    /// With the possessive of its owner.
    pub(super) fn owned_by(self, owner: Person) -> Self {
        match owner {
            Person::I => self.add("(I)m"),
            Person::You => self.add("(I)n"),
            Person::It => Self { pronominal: true, ..self.add("(s)I") },
            Person::We => self.add("(I)mIz"),
            Person::YouAll => self.add("(I)nIz"),
            Person::They if self.plural => Self { pronominal: true, ..self.add("I") },
            Person::They => Self { pronominal: true, ..self.add("lArI") },
        }
    }

    pub(super) fn case(self, case: Case) -> Self {
        match (case, self.pronominal) {
            (Case::Bare, _) => self,
            (Case::Accusative, false) => self.add("(y)I"),
            (Case::Accusative, true) => self.add("nI"),
            (Case::Dative, false) => self.add("(y)A"),
            (Case::Dative, true) => self.add("nA"),
            (Case::Locative, false) => self.add("DA"),
            (Case::Locative, true) => self.add("nDA"),
            (Case::Ablative, false) => self.add("DAn"),
            (Case::Ablative, true) => self.add("nDAn"),
            (Case::Genitive, _) => self.add("(n)In"),
            (Case::Instrumental, _) => self.add("(y)lA"),
        }
    }
}

/// The last word of a number as it is read aloud.
fn last_spoken_word(n: u32) -> &'static str {
    const ONES: [&str; 10] = ["sıfır", "bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz"];
    const TENS: [&str; 10] = ["", "on", "yirmi", "otuz", "kırk", "elli", "altmış", "yetmiş", "seksen", "doksan"];
    match (n % 10, n / 10 % 10, n / 100 % 10) {
        (0, 0, 0) if n == 0 => "sıfır",
        (0, 0, 0) if n.is_multiple_of(1_000_000) => "milyon",
        (0, 0, 0) => "bin",
        (0, 0, _) => "yüz",
        (0, tens, _) => TENS[tens as usize],
        (ones, _, _) => ONES[ones as usize],
    }
}

/// A verb with its negation and its ability, before tense and person.
#[derive(Debug, Clone)]
pub(super) struct Verb {
    form: Form,
    negative: bool,
    /// Aorist in -Ir although the stem has one syllable, or has more than one.
    high_aorist: bool,
}

/// Stems of one syllable whose aorist is in -Ir.
const HIGH_AORIST: [&str; 13] =
    ["al", "bil", "bul", "dur", "gel", "gör", "kal", "ol", "öl", "san", "var", "ver", "vur"];

impl Verb {
    /// A verb from its stem; the stem may be a phrase that ends in the verb ("yardım eD").
    pub(super) fn of(stem: &str) -> Self {
        let last_word = stem.split_whitespace().last().unwrap_or(stem);
        let syllables = last_word.chars().filter(|c| is_vowel(*c)).count();
        // Verbs made with et- keep its aorist, also where they are written in one word: kaybeder.
        let high_aorist = (syllables > 1 && !last_word.ends_with("eD")) || HIGH_AORIST.contains(&last_word);
        Self { form: Form::of(stem), negative: false, high_aorist }
    }

    pub(super) fn negated(mut self) -> Self {
        self.form = self.form.add("mA");
        self.negative = true;
        self
    }

    /// Able to do it; unable, if it is negated afterwards with [`Verb::unable`].
    pub(super) fn able(mut self) -> Self {
        self.form = self.with("(y)Abil");
        self.high_aorist = true;
        self
    }

    pub(super) fn unable(mut self) -> Self {
        self.form = self.with("(y)AmA");
        self.negative = true;
        self
    }

    pub(super) fn passive(mut self) -> Self {
        let suffix = match self.form.last_letter() {
            'l' => "In",
            c if is_vowel(c) => "n",
            _ => "Il",
        };
        self.form = self.form.add(suffix);
        self.high_aorist = true;
        self
    }

    /// The stem with a suffix; ye- and de- narrow before y.
    fn with(&self, suffix: &str) -> Form {
        let mut form = self.form.clone();
        let narrow = suffix.starts_with("(y)") && matches!(form.text.rsplit(' ').next(), Some("ye" | "de"));
        if narrow {
            form.text.pop();
            form.text.push('i');
        }
        form.add(suffix)
    }

    /// -(I)yor: a wide last vowel falls and a narrow one takes its place (bekle-: bekliyor).
    fn progressive(&self) -> Form {
        let mut form = self.form.clone();
        if !form.text.ends_with(['a', 'e']) {
            return form.add("(I)yor");
        }
        let wide = form.text.pop().unwrap_or('e');
        let word = form.text.rsplit(' ').next().unwrap_or_default();
        let before = word.chars().rev().find(|c| is_vowel(*c)).unwrap_or(wide);
        form.text.push(four_way(before));
        form.add("yor")
    }

    fn aorist(&self) -> Form {
        match (self.negative, is_vowel(self.form.last_letter()), self.high_aorist) {
            (true, _, _) => self.form.clone().add("z"),
            (false, true, _) => self.form.clone().add("r"),
            (false, false, true) => self.form.clone().add("Ir"),
            (false, false, false) => self.form.clone().add("Ar"),
        }
    }

    /// The stem with its tense, and whether persons follow as in "gel-di-m" rather than "gel-iyor-um".
    fn tensed(&self, tense: Tense) -> (Form, bool) {
        match tense {
            Tense::Past => (self.with("DI"), true),
            Tense::Progressive => (self.progressive(), false),
            Tense::Future => (self.with("(y)AcAK"), false),
            Tense::Reported => (self.with("mIş"), false),
            Tense::Aorist => (self.aorist(), false),
            Tense::PastProgressive => (self.progressive().add("DI"), true),
            Tense::Pluperfect => (self.with("mIş").add("DI"), true),
            Tense::Conditional => (self.aorist().add("sA"), true),
            Tense::Necessity => (self.with("mAlI"), false),
        }
    }

    /// The finite verb.
    pub(super) fn finite(&self, tense: Tense, person: Person) -> String {
        // The negative aorist is irregular in the first person: gelmem, gelmeyiz.
        if self.negative && tense == Tense::Aorist {
            match person {
                Person::I => return self.form.clone().add("m").text(),
                Person::We => return self.form.clone().add("yIz").text(),
                Person::You | Person::It | Person::YouAll | Person::They => {}
            }
        }
        let (form, short) = self.tensed(tense);
        agree(form, short, person).text()
    }

    /// The finite verb, asked: the particle carries the person, except after "gel-di-m".
    pub(super) fn asked(&self, tense: Tense, person: Person) -> String {
        let (form, short) = self.tensed(tense);
        match (short, person) {
            (true, _) => agree(form, true, person).add(" mI").text(),
            (false, Person::They) => form.add("lAr").add(" mI").text(),
            (false, _) => agree(form.add(" mI"), false, person).text(),
        }
    }

    /// -(y)An: who does it.
    pub(super) fn doer(&self) -> String {
        self.with("(y)An").text()
    }

    /// -DIK with its subject's possessive: what is done, or that it is done.
    pub(super) fn deed(&self, subject: Person) -> Form {
        self.with("DIK").owned_by(subject)
    }

    /// -mA with its subject's possessive: the doing of it.
    pub(super) fn doing(&self, subject: Person) -> Form {
        self.with("mA").owned_by(subject)
    }

    /// -mAk: to do it.
    pub(super) fn infinitive(&self) -> String {
        self.with("mAk").text()
    }

    /// Any suffix that needs no person: -(y)Ip, -(y)ArAk, -(y)IncA, -mAdAn, -DIktAn.
    pub(super) fn converb(&self, suffix: &str) -> String {
        self.with(suffix).text()
    }
}

fn agree(form: Form, short: bool, person: Person) -> Form {
    match (person, short) {
        (Person::It, _) => form,
        (Person::They, _) => form.add("lAr"),
        (Person::I, true) => form.add("m"),
        (Person::You, true) => form.add("n"),
        (Person::We, true) => form.add("k"),
        (Person::YouAll, true) => form.add("nIz"),
        (Person::I, false) => form.add("(y)Im"),
        (Person::You, false) => form.add("sIn"),
        (Person::We, false) => form.add("(y)Iz"),
        (Person::YouAll, false) => form.add("sInIz"),
    }
}

/// With a capital first letter, the Turkish way: i becomes İ, ı becomes I.
pub(super) fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first: String = match letters.next() {
        Some('i') => "İ".into(),
        Some('ı') => "I".into(),
        Some(c) => c.to_uppercase().collect(),
        None => String::new(),
    };
    first + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::Case::*;
    use super::Tense::*;
    use super::*;

    fn noun(stem: &str) -> Form {
        Form::of(stem)
    }

    #[track_caller]
    fn check(form: Form, expected: &str) {
        assert_eq!(form.text(), expected);
    }

    #[test]
    fn nouns_harmonise_through_plural_possessive_and_case() {
        check(noun("ev").plural().owned_by(Person::We).case(Ablative), "evlerimizden");
        check(noun("okul").plural().case(Locative), "okullarda");
        check(noun("göz").owned_by(Person::It).case(Dative), "gözüne");
        check(noun("yol").owned_by(Person::YouAll).case(Genitive), "yolunuzun");
        check(noun("kız").plural().owned_by(Person::They).case(Accusative), "kızlarını");
        check(noun("ev").owned_by(Person::They).case(Locative), "evlerinde");
    }

    #[test]
    fn hard_consonants_soften_before_vowels_only() {
        check(noun("kitaB").owned_by(Person::I), "kitabım");
        check(noun("ağaC").case(Accusative), "ağacı");
        check(noun("kanaD").case(Dative), "kanada");
        check(noun("çocuK").case(Genitive), "çocuğun");
        check(noun("renG").owned_by(Person::It), "rengi");
        check(noun("çocuK").plural(), "çocuklar");
        check(noun("kitaB").case(Locative), "kitapta");
        check(noun("ağaC").case(Ablative), "ağaçtan");
    }

    #[test]
    fn buffer_letters_keep_vowels_apart() {
        check(noun("araba").case(Accusative), "arabayı");
        check(noun("araba").owned_by(Person::It), "arabası");
        check(noun("araba").owned_by(Person::It).case(Ablative), "arabasından");
        check(noun("köprü").case(Genitive), "köprünün");
        check(noun("köprü").case(Instrumental), "köprüyle");
        check(noun("kalem").case(Instrumental), "kalemle");
    }

    #[test]
    fn vowels_fall_and_borrowed_stems_front_their_suffixes() {
        check(noun("şeh~ir").case(Dative), "şehre");
        check(noun("ağ~ız").owned_by(Person::It), "ağzı");
        check(noun("bur~un").case(Locative), "burunda");
        check(noun("vak~it").case(Accusative), "vakti");
        check(noun("saat^").case(Accusative), "saati");
        check(noun("saat^").case(Locative), "saatte");
        check(noun("gol^").plural(), "goller");
        check(noun("gol^").case(Accusative), "golü");
    }

    #[test]
    fn proper_names_and_numbers_take_an_apostrophe_and_do_not_soften() {
        check(Form::name("Ankara").case(Ablative), "Ankara'dan");
        check(Form::name("Zonguldak").case(Dative), "Zonguldak'a");
        check(Form::name("Ahmet").case(Genitive), "Ahmet'in");
        check(Form::name("Iğdır").case(Locative), "Iğdır'da");
        check(Form::name("İzmir").case(Dative), "İzmir'e");
        check(Form::number(1998).case(Locative), "1998'de");
        check(Form::number(2003).case(Ablative), "2003'ten");
        check(Form::number(1940).case(Locative), "1940'ta");
        check(Form::number(6).case(Dative), "6'ya");
        check(Form::number(2000).case(Locative), "2000'de");
        check(Form::number(100).case(Accusative), "100'ü");
    }

    #[test]
    fn verbs_take_tense_and_person() {
        let cases = [
            ("giD", Progressive, Person::I, "gidiyorum"),
            ("gel", Past, Person::We, "geldik"),
            ("bekle", Progressive, Person::It, "bekliyor"),
            ("ara", Progressive, Person::We, "arıyoruz"),
            ("söyle", Progressive, Person::They, "söylüyorlar"),
            ("ye", Progressive, Person::It, "yiyor"),
            ("ye", Future, Person::It, "yiyecek"),
            ("giD", Future, Person::I, "gideceğim"),
            ("oku", Future, Person::They, "okuyacaklar"),
            ("yap", Past, Person::You, "yaptın"),
            ("yardım eD", Aorist, Person::It, "yardım eder"),
            ("kaybeD", Aorist, Person::It, "kaybeder"),
            ("gel", Aorist, Person::They, "gelirler"),
            ("yaz", Aorist, Person::It, "yazar"),
            ("çalış", Aorist, Person::I, "çalışırım"),
            ("gör", Reported, Person::YouAll, "görmüşsünüz"),
            ("iç", PastProgressive, Person::It, "içiyordu"),
            ("unut", Pluperfect, Person::I, "unutmuştum"),
            ("ol", Conditional, Person::It, "olursa"),
            ("çöz", Necessity, Person::We, "çözmeliyiz"),
        ];
        for (stem, tense, person, expected) in cases {
            assert_eq!(Verb::of(stem).finite(tense, person), expected);
        }
    }

    #[test]
    fn verbs_are_negated_enabled_and_made_passive() {
        let verb = |stem| Verb::of(stem);
        assert_eq!(verb("iç").negated().finite(Past, Person::It), "içmedi");
        assert_eq!(verb("gel").negated().finite(Progressive, Person::I), "gelmiyorum");
        assert_eq!(verb("oku").negated().finite(Progressive, Person::It), "okumuyor");
        assert_eq!(verb("gel").negated().finite(Aorist, Person::I), "gelmem");
        assert_eq!(verb("bil").negated().finite(Aorist, Person::They), "bilmezler");
        assert_eq!(verb("bul").unable().finite(Past, Person::It), "bulamadı");
        assert_eq!(verb("oku").able().finite(Aorist, Person::It), "okuyabilir");
        assert_eq!(verb("yap").passive().finite(Past, Person::It), "yapıldı");
        assert_eq!(verb("al").passive().finite(Past, Person::It), "alındı");
        assert_eq!(verb("oku").passive().finite(Progressive, Person::It), "okunuyor");
    }

    #[test]
    fn the_question_particle_carries_the_person() {
        assert_eq!(Verb::of("yaz").asked(Progressive, Person::You), "yazıyor musun");
        assert_eq!(Verb::of("oku").asked(Past, Person::You), "okudun mu");
        assert_eq!(Verb::of("gel").asked(Future, Person::YouAll), "gelecek misiniz");
        assert_eq!(Verb::of("gör").asked(Progressive, Person::They), "görüyorlar mı");
        assert_eq!(Verb::of("gör").asked(Past, Person::It), "gördü mü");
    }

    #[test]
    fn clauses_are_made_from_verbs() {
        assert_eq!(Verb::of("oku").deed(Person::It).text(), "okuduğu");
        assert_eq!(Verb::of("giD").deed(Person::I).text(), "gittiğim");
        assert_eq!(Verb::of("gel").doing(Person::It).case(Accusative).text(), "gelmesini");
        assert_eq!(Verb::of("ye").doer(), "yiyen");
        assert_eq!(Verb::of("giD").converb("(y)Ip"), "gidip");
        assert_eq!(Verb::of("eD").converb("(y)ArAk"), "ederek");
        assert_eq!(Verb::of("bitir").converb("DIktAn"), "bitirdikten");
        assert_eq!(Verb::of("bak").infinitive(), "bakmak");
    }

    proptest::proptest! {
        /// Whatever the stem, suffixes agree with it: back with back, front with front, and round only after round.
        #[test]
        fn every_suffix_vowel_agrees_with_the_vowel_before_it(
            stem in "[bcdfghklmnprstvyz][aeıioöuü][bdgklmnrstyz]{0,2}",
            suffixes in proptest::collection::vec(
                proptest::sample::select(vec!["lAr", "(I)m", "(s)I", "(y)A", "DA", "DAn", "lI", "CI", "lIK", "(y)AcAK"]),
                1..5,
            ),
        ) {
            let word = suffixes.iter().fold(Form::of(&stem), |word, suffix| word.add(suffix)).text();
            let vowels: Vec<char> = word.chars().filter(|c| is_vowel(*c)).collect();
            for pair in vowels.windows(2) {
                let front = |c: char| "eiöü".contains(c);
                proptest::prop_assert_eq!(front(pair[0]), front(pair[1]), "{}", word);
                proptest::prop_assert!(!"uü".contains(pair[1]) || "oöuü".contains(pair[0]), "{}", word);
            }
        }

        /// Turkish parts vowels by consonants, and voiceless consonants by t and ç, never d and c.
        #[test]
        fn no_two_vowels_meet_at_a_seam(
            stem in "[bcdfghklmnprstvyz][aeıioöuü][bdgklmnrstyzçş]{0,1}",
            suffix in proptest::sample::select(vec!["(I)m", "(s)I", "(y)A", "(n)In", "DAn", "CI"]),
        ) {
            let word = Form::of(&stem).add(suffix).text();
            let letters: Vec<char> = word.chars().collect();
            for pair in letters.windows(2) {
                proptest::prop_assert!(!(is_vowel(pair[0]) && is_vowel(pair[1])), "{}", word);
                proptest::prop_assert!(!("fstkçşhp".contains(pair[0]) && "dc".contains(pair[1])), "{}", word);
            }
        }
    }

    #[test]
    fn capitals_keep_their_dots() {
        assert_eq!(capitalised("istanbul ılık"), "İstanbul ılık");
        assert_eq!(capitalised("ılık"), "Ilık");
    }
}

//! Which Turkish words are there, and which go together? Stems by topic, in the notation of [`super::morphology`].
//! Sentences are not built here.

use super::morphology::Case::{self, Ablative, Accusative, Dative, Instrumental};

/// What documents are about.
pub(super) struct Topic {
    /// Who one meets.
    pub(super) people: &'static str,
    /// Where it happens.
    pub(super) places: &'static str,
    /// What things are like.
    pub(super) qualities: &'static str,
    /// What is done: a verb, the case it asks for, and what it is done to.
    pub(super) acts: &'static [(&'static str, Case, &'static str)],
}

pub(super) const NAMES: &str = "Ayşe Mehmet Zeynep Ahmet Elif Mustafa Fatma Emre Hülya Murat Selin Ömer Gül Hasan \
    İrem Oğuz Deniz Kemal Işıl Yusuf Merve Tuncay Şule İbrahim Nur Okan Çiğdem Volkan Ümit Sevgi Barış Leyla";

pub(super) const CITIES: &str = "İstanbul Ankara İzmir Bursa Antalya Konya Trabzon Adana Eskişehir Gaziantep Kars \
    Van Muş Diyarbakır Mersin Çanakkale Samsun Zonguldak Iğdır Isparta Edirne Sinop Ürgüp Bodrum";

pub(super) const KIN: &str = "anne baba kardeş abla dede arkadaş komşu teyze amca dayı kız ağabey hala çocuK torun";

pub(super) const FEELINGS: &str =
    "mutlu üzgün yorgun heyecanlı şaşkın kızgın sakin umutlu endişeli gururlu meraklı rahat";

pub(super) const WEATHER: &str = "güzel soğuK sıcaK yağmurlu rüzgarsız güneşli karlı serin bulutlu açıK";

/// What towns are like.
pub(super) const LOOKS: &str = "büyüK sıcaK kalabalıK güzel eski sakin soğuK pahalı ünlü yeşil düzenli uzaK";

pub(super) const TOPICS: [Topic; 14] = [
    Topic {
        people: "öğretmen öğrenci müdür çocuK profesör asistan yazar",
        places: "okul sınıf kütüphane bahçe üniversite koridor laboratuvar",
        qualities: "zor yeni kolay ilginç uzun kısa önemli eski kalın",
        acts: &[
            ("oku", Accusative, "kitaB roman dergi şiir gazete makale öykü"),
            ("yaz", Accusative, "ödev mektuB cevaB rapor şiir özet"),
            ("anlat", Accusative, "ders konu masal olay kural"),
            ("çöz", Accusative, "soru problem bulmaca test"),
            ("çalış", Dative, "sınav ders matematiK tarih"),
            ("öğren", Accusative, "dil tarih kural kelime şarkı alfabe"),
            ("bak", Dative, "tahta harita res~im sözlüK defter"),
            ("gir", Dative, "sınav ders toplantı"),
        ],
    },
    Topic {
        people: "satıcı müşteri bakkal kasaB fırıncı manav garson",
        places: "pazar market dükkan çarşı fırın kasaB bakkal",
        qualities: "taze pahalı ucuz tatlı ekşi olgun büyüK küçüK temiz",
        acts: &[
            ("al", Accusative, "ekmeK süt peynir elma domates yumurta zeytin et balıK çay şeker un"),
            ("sat", Accusative, "sebze meyve üzüm armuD karpuz biber soğan bal"),
            ("tart", Accusative, "patates pirinC elma kiraz fındıK"),
            ("sor", Accusative, "fiyat adres indirim"),
            ("taşı", Accusative, "sepet torba kasa çanta kutu"),
            ("seç", Accusative, "karpuz kavun balıK portakal limon"),
            ("öde", Accusative, "para borC hesaB fatura"),
        ],
    },
    Topic {
        people: "çiftçi köylü çoban komşu muhtar işçi bahçıvan",
        places: "köy tarla bahçe ahır çiftliK bağ değirmen",
        qualities: "geniş verimli kuru yeşil sağlam yaşlı genC bereketli",
        acts: &[
            ("ek", Accusative, "buğday mısır arpa fasulye tohum nohut"),
            ("topla", Accusative, "elma zeytin üzüm ceviz pamuK çay kayısı"),
            ("sula", Accusative, "tarla bahçe çiçeK ağaC fidan"),
            ("besle", Accusative, "ineK koyun keçi tavuK at kuzu"),
            ("sağ", Accusative, "ineK keçi koyun"),
            ("sür", Accusative, "tarla traktör topraK"),
            ("kes", Accusative, "ot dal ağaC odun"),
            ("onar", Accusative, "çit çatı kapı ahır duvar"),
        ],
    },
    Topic {
        people: "balıkçı kaptan denizci yolcu turist tayfa dalgıC",
        places: "liman deniz iskele sahil ada gemi kıyı",
        qualities: "dalgalı derin sakin mavi tuzlu eski büyüK hızlı",
        acts: &[
            ("tut", Accusative, "balıK palamut hamsi yengeC levrek"),
            ("at", Accusative, "ağ olta halat demir çapa"),
            ("onar", Accusative, "tekne yelken ağ motor kayıK"),
            ("boya", Accusative, "kayıK tekne direK iskele"),
            ("bin", Dative, "vapur gemi tekne kayıK"),
            ("in", Ablative, "gemi vapur tekne"),
            ("izle", Accusative, "dalga martı fırtına ada yunus"),
            ("kork", Ablative, "fırtına dalga karanlıK rüzgar"),
        ],
    },
    Topic {
        people: "şoför yolcu polis mühendis memur turist bisikletçi",
        places: "istasyon cadde meydan köprü terminal sokaK otogar",
        qualities: "kalabalıK geniş dar hızlı yavaş boş dolu gürültülü",
        acts: &[
            ("bekle", Accusative, "otobüs tren taksi tramvay sıra yolcu"),
            ("bin", Dative, "otobüs tren uçaK metro dolmuş bisiklet"),
            ("in", Ablative, "tren otobüs taksi uçaK"),
            ("kullan", Accusative, "araba kamyon motosiklet harita"),
            ("geç", Accusative, "köprü cadde kavşaK tünel"),
            ("kaçır", Accusative, "tren vapur uçaK otobüs"),
            ("park eD", Accusative, "araba kamyon minibüs"),
            ("ara", Accusative, "adres duraK otel taksi"),
        ],
    },
    Topic {
        people: "doktor hemşire hasta eczacı dişçi cerrah yaşlı",
        places: "hastane eczane kliniK oda ameliyathane dispanser",
        qualities: "hafif ağır ciddi sağlıklı yorgun yeni etkili acı",
        acts: &[
            ("iç", Accusative, "ilaC süt çay şurup çorba"),
            ("muayene eD", Accusative, "hasta çocuK göz diş kalB^"),
            ("yaz", Accusative, "reçete rapor ilaC"),
            ("ölç", Accusative, "tansiyon ateş nab~ız kilo"),
            ("sar", Accusative, "yara kol bacaK parmaK"),
            ("yakın", Ablative, "ağrı öksürüK ateş yorgunluK"),
            ("kurtul", Ablative, "hastalıK ağrı öksürüK grip"),
            ("dikkat eD", Dative, "beslenme uyku sağlıK temizliK"),
        ],
    },
    Topic {
        people: "oyuncu antrenör hakem kaleci seyirci kaptan sporcu",
        places: "stadyum saha salon havuz park kulüB tribün",
        qualities: "hızlı güçlü heyecanlı yorucu başarılı genC tecrübeli zor",
        acts: &[
            ("izle", Accusative, "maç yarış final antrenman oyun"),
            ("at", Accusative, "gol^ top ok şut"),
            ("kazan", Accusative, "maç kupa madalya yarış ödül"),
            ("kaybeD", Accusative, "maç final top yarış"),
            ("hazırlan", Dative, "maç yarış turnuva final"),
            ("oyna", Accusative, "futbol^ basketbol^ voleybol^ tenis satranC"),
            ("katıl", Dative, "yarış turnuva antrenman maraton"),
            ("tut", Accusative, "top takım kupa"),
        ],
    },
    Topic {
        people: "müzisyen ressam şarkıcı yönetmen oyuncu besteci izleyici",
        places: "tiyatro sinema müze sergi salon konservatuvar sahne",
        qualities: "güzel ünlü renkli hüzünlü neşeli etkileyici modern eski",
        acts: &[
            ("çal", Accusative, "piyano keman gitar bağlama ney davul flüt"),
            ("söyle", Accusative, "şarkı türkü marş ninni"),
            ("çiz", Accusative, "res~im portre manzara çiçeK yüz"),
            ("dinle", Accusative, "konser şarkı senfoni türkü radyo"),
            ("seyreD", Accusative, "film oyun dans gösteri belgesel"),
            ("çek", Accusative, "film fotoğraf sahne belgesel"),
            ("hayran ol", Dative, "tablo ses heykel film"),
            ("gez", Accusative, "müze sergi galeri saray"),
        ],
    },
    Topic {
        people: "bahçıvan dağcı kampçı bekçi avcı gezgin köylü",
        places: "orman dağ göl vadi yayla kamp mağara neh~ir",
        qualities: "yeşil yüksek derin soğuK sessiz vahşi güzel karanlıK",
        acts: &[
            ("gör", Accusative, "ayı kurD kuş geyiK tilki kartal tavşan"),
            ("tırman", Dative, "dağ tepe ağaC kaya"),
            ("topla", Accusative, "mantar odun çiçeK böğürtlen taş"),
            ("yak", Accusative, "ateş odun lamba mum"),
            ("kur", Accusative, "çadır kamp salıncaK tuzaK"),
            ("koru", Accusative, "orman hayvan kuş doğa göl"),
            ("geç", Accusative, "neh~ir dere vadi köprü"),
            ("uzaklaş", Ablative, "kamp orman yol göl"),
        ],
    },
    Topic {
        people: "mühendis yazılımcı müdür müşteri uzman sekreter tasarımcı",
        places: "ofis şirket fabrika toplantı merkez banka depo",
        qualities: "hızlı güvenli yeni akıllı pahalı verimli karmaşıK basit",
        acts: &[
            ("geliştir", Accusative, "program uygulama proje model sistem"),
            ("yaz", Accusative, "kod rapor yazılım plan sözleşme"),
            ("kullan", Accusative, "bilgisayar telefon program robot yazıcı"),
            ("imzala", Accusative, "sözleşme belge rapor çek"),
            ("düzelt", Accusative, "hata kod rapor ayar"),
            ("kur", Accusative, "şirket sistem program ağ"),
            ("katıl", Dative, "toplantı proje kurs eğitim"),
            ("konuş", Instrumental, "müdür müşteri ekiB uzman"),
            ("vazgeç", Ablative, "proje plan teklif"),
        ],
    },
    Topic {
        people: "anne baba dede nine çocuK misafir kardeş",
        places: "ev mutfaK salon balkon oda bahçe apartman",
        qualities: "sıcaK lezzetli temiz eski rahat küçüK kirli tatlı",
        acts: &[
            ("pişir", Accusative, "çorba yemeK pilav börek kek balıK köfte"),
            ("ye", Accusative, "pilav tatlı çorba kebaB dolma meyve"),
            ("temizle", Accusative, "oda mutfaK cam halı masa"),
            ("yıka", Accusative, "bulaşıK çamaşır tabaK araba"),
            ("aç", Accusative, "kapı pencere televizyon perde"),
            ("bekle", Accusative, "misafir komşu haber bayram"),
            ("hazırla", Accusative, "kahvaltı sofra yemeK çay yataK"),
            ("otur", Dative, "koltuK sandalye masa sofra"),
        ],
    },
    Topic {
        people: "avukat yargıC başkan milletvekili memur vatandaş gazeteci",
        places: "mahkeme meclis belediye bakanlıK salon kurul",
        qualities: "adil önemli yeni geçerli resmi açıK sert uzun",
        acts: &[
            ("kabul eD", Accusative, "yasa karar teklif bütçe öneri"),
            ("tartış", Accusative, "yasa sorun karar madde bütçe"),
            ("savun", Accusative, "ilke görüş karar sanıK"),
            ("imzala", Accusative, "karar anlaşma dilekçe protokol^"),
            ("seç", Accusative, "başkan üye temsilci kurul"),
            ("incele", Accusative, "dosya belge rapor kanıt"),
            ("başvur", Dative, "mahkeme belediye kurum"),
            ("itiraz eD", Dative, "karar ceza sonuC"),
        ],
    },
    Topic {
        people: "sultan asker tarihçi komutan rehber arkeolog yolcu",
        places: "saray kale müze kervansaray anıt hamam çeşme",
        qualities: "eski görkemli tarihi ünlü yıkıK gizli zengin kutsal",
        acts: &[
            ("fetheD", Accusative, "şeh~ir kale ülke ada"),
            ("yaptır", Accusative, "cami köprü saray çeşme medrese"),
            ("bul", Accusative, "hazine mezar yazıt heykel para"),
            ("incele", Accusative, "yazıt harabe belge mozaiK"),
            ("gez", Accusative, "kale saray müze şeh~ir"),
            ("anlat", Accusative, "savaş efsane tarih hikaye"),
            ("kaz", Accusative, "topraK hendeK mezar kuyu"),
            ("söz eD", Ablative, "savaş sultan antlaşma"),
        ],
    },
    Topic {
        people: "araştırmacı bilgin fizikçi astronom öğrenci kimyager biyolog",
        places: "laboratuvar rasathane üniversite enstitü merkez kongre",
        qualities: "önemli doğru yeni karmaşıK ilginç yanlış kesin küçüK",
        acts: &[
            ("incele", Accusative, "hücre yıldız bitki kan gezegen böceK"),
            ("ölç", Accusative, "sıcaklıK hız basınC ışıK zaman"),
            ("keşfeD", Accusative, "yıldız ilaC yasa tür gezegen"),
            ("yayımla", Accusative, "makale kitaB rapor sonuC"),
            ("kanıtla", Accusative, "teori görüş varsayım"),
            ("yap", Accusative, "deney araştırma gözlem hesaB"),
            ("kuşkulan", Ablative, "sonuC veri ölçüm"),
            ("ilgilen", Instrumental, "fiziK kimya uzay genetiK"),
        ],
    },
];

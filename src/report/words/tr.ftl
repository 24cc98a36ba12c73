# What the reports say, in Turkish. A word that arrives from outside (a name, a number) never takes a suffix here: the
# suffix goes to a Turkish noun beside it, so that vowel harmony always holds. After a number a noun stays singular.

### Units
unit-days = { $n } gün { $rest } sa
unit-hours = { $n } sa { $rest } dk
unit-minutes = { $n } dk { $rest } sn
unit-seconds = { $n } sn
unknown = -
yes = var
no = yok
nothing = yok

### Profile
profile-title = { $source } → { $candidate }
profile-answer = Aday, bu metin için özgün tokenizer ile karşılaştırıldığında { $ratio ->
    [fewer] { $percent } daha az token kullanıyor
    [more] { $percent } daha çok token kullanıyor
   *[same] aynı sayıda token kullanıyor
}. Model, adayın token dağarcığının { $vocabulary } kadarını ve okuyacağı metnin { $corpus } kadarını şimdiden tanıyor.
profile-answer-bare = Model, adayın token dağarcığının { $vocabulary } kadarını şimdiden tanıyor. Bunun bir metin için ne demek olduğunu görmek üzere --corpus ile bir metin verin.
profile-tokenizers = İki tokenizer
original = özgün
candidate = aday
grown = büyütülmüş özgün
both-vocabularies = ikisi de
name = ad
kind = tür
model = model
alphabet = alfabe
tokens = token sayısı
special-tokens = bunlardan özel olan
rows = gereken satır
byte-fallback = bayta düşme
fertility = sözcük başına token
bytes-per-token = token başına bayt
corpus-tokens = metin için token
unknown-rate = bilinmeyen token
unknown-bytes = bunlarda yiten metin
round-trip = aynen geri gelen satır
corpus-line = Ölçülen metin: { $bytes }; { $lines } satır, { $words } sözcük; kaynak: { $files }.
coverage = Kapsama: adayın ne kadarı modelde zaten var
coverage-measure = neye göre
coverage-share = oran
coverage-meaning = ne anlatıyor
coverage-vocabulary = dağarcık, bayta göre
coverage-vocabulary-means = baytları özgün dağarcıkta bir token olan aday tokenları
coverage-naive = dağarcık, yazılışa göre
coverage-naive-means = sık yapılan yanlış: iki alfabe aynı baytları farklı yazar
coverage-corpus = metin, bayta göre
coverage-corpus-means = bu metinde kapsanan geçişler
coverage-gap = Yazılışa bakmak, modelde gerçekten bulunan dağarcığın { $percent } kadarını gözden kaçırıyor.
matches = Adayın tokenları nasıl eşleşiyor
match-class = sınıf
match-types = token
match-type-share = dağarcıktaki payı
match-occurrences = geçiş
match-occurrence-share = metindeki payı
match-special = özel, görevine göre eşleşen
match-byte = tek bayt (yedek)
match-exact = aynı baytlar
match-space = öndeki boşluk dışında aynı
match-case = büyük-küçük harf dışında aynı
match-normal = normalleştirince aynı
match-digits = sayı, özgünde rakam rakam
match-none = model için yeni
similarity = Benzerlik: modelin uzayı adayı ne kadar anlatabiliyor
similarity-line = { $score } ({ $basis }).
basis = dayanak
score = puan
chance = rastlantıyla
how = nasıl ölçüldü
basis-surface = yüzey
basis-contextual = bağlam
basis-reconstruction = yeniden kurma
basis-means-surface = yüzeye göre: özgün tokenizer adayın tokenlarını nasıl yazıyor
basis-means-contextual = bağlama göre: tokenlar metinde nasıl bir arada duruyor
basis-means-reconstruction = yeniden kurmaya göre: modelin satırları gizlenip yeniden kuruldu
model-heading = Model
model-line = { $family } ailesi, { $parameters } parametre; { $hidden } genişlikte { $rows } gömme satırı, { $tied ->
    [yes] girdi ve çıktı ortak
   *[no] girdi ve çıktı ayrı
}.
model-padding = { $rows } satır dolgu: token değil, ortalamalara katılmıyor.
model-embeddings = Gömme ve çıkış katmanı: şimdi { $before } parametre, adayın satırlarıyla { $after } parametre.
gain = Ne kazanılıyor
gain-cost = Bir milyon sözcük şimdi { $before } token tutuyor, aday ile { $after }: okuması da yazması da { $percent } { $change ->
    [saved] daha ucuz
   *[lost] daha pahalı
}.
gain-tokens = Bir milyon sözcükte { $n } token { $change ->
    [saved] kazanç
   *[lost] kayıp
}.
gain-context = Aynı bağlam penceresine bu metnin { $times } katı sığıyor.
gain-context-less = Aynı bağlam penceresine bu metnin yalnızca { $times } katı sığıyor.
gain-stays = Tokenizer aynı kaldı: metinler eskisi kadar uzun.
gain-grown = Özgün tokenizer büyütüldü: ayrılmış metin { $before } yerine { $after } token tutuyor; hiçbir metin eskisinden uzun değil.
gain-none = Metin olmadan kazanç üzerine bir şey söylenemez; --corpus ile bir metin verin.
warnings = Devam etmeden önce
details = İkisine daha yakından
strr = tek token kalan kelimeler
renyi = kullanımın dengesi (Rényi, 2,5)
unreachable = hiçbir metnin üretemeyeceği tokenlar
unused = metnin hiç kullanmadığı tokenlar
digits = sayılar nasıl bölünüyor
digits-single = rakam rakam
digits-triples = üçer üçer
digits-free = rastgele
parity = metnin tokenları / çevirisinin tokenları
train-flops = bir milyon kelimeyle eğitimin işlem sayısı
inference-flops = bir milyon kelimeyi okumanın ya da yazmanın işlem sayısı
traps = Neler ters gidebilir
trap-severity = Ne kadar ciddi
trap-whose = Kimde
trap-what = Ne
trap-advice = Ne yapmalı
trap-both = ikisinde
trap-example = Örneğin: { $example }.
severity-serious = ciddi
severity-warning = uyarı
severity-note = not

### Decision
decision-title = Öneri
decision-answer = Öneri: { $strategy } ({ $gist }).
line-why = Neden: { $said }
line-sure = Ne kadar emin: { $confidence }, { $grounds }. { $action ->
    [execute] Olduğu gibi uygulayacak kadar emin.
    [execute_watched] Uygulayın; iki kat sık gözden geçirilecek.
   *[safest] Dayanak yetersiz, bu yüzden uygulanabilir en güvenli yol seçildi.
}
line-cost = Bedeli: { $said }
line-gain = Kazancı: { $said }
line-mind = Dikkat: { $said }
sure-of-rules = yalnızca kurallara göre
sure-of-both = kurallara ve geçmiş çalışmalardan { $count } kola göre
gist-keep = özgün tokenizer kalır, yalnızca uyarlayıcılar eğitilir
gist-direct = doğrudan adaya geçilir, gömmeler eşlenip eğitilir
gist-sequential = önce özgün tokenizer ile uyarlanır, sonra adaya geçilir
gist-parallel = güvenli ve riskli iki kol yarışır, kazanan kalır
gist-structural = iki tokenizer köprülerle yan yana çalışır
gist-extend = özgün tokenizer kalır, dağarcığı büyütülür
gist-adaptive = karardan yola çıkılır, eğitim sürerken yeniden karar verilir
gist-emergency = özgün tokenizer ile her zaman çalışan son çare
weighed = Tartılan bütün stratejiler
strategy = strateji
utility = yarar
by-rules = kurallardan
learned = öğrenilen
interval = aralık
expected-level = beklenen
cost-time = süre
cost-memory = bellek
verdict = sonuç
verdict-chosen = seçildi
verdict-possible = olabilir
verdict-vetoed = veto edildi
utility-note = Yarar, keep ile karşılaştırıldığında kazanılması beklenen bayt başına bit sayısıdır; büyük olan iyidir. Aralık, geçmişte yeterince çalışma birikince görünür.
saves = kazanılan bit/bayt
expected-loss = kayıp
why-not = neden değil
why-not-others = Ötekiler neden değil
ranking-note = keep ile karşılaştırıldığında kazanılması beklenen bayt başına bit; geçmişte yeterince çalışma birikince aralığıyla. Kayıp: geçmiş çalışmalarda ölçülen ya da başlangıçta beklenen eşdeğer kayıp.
rests-on = Bu öneri neye dayanıyor
fired-line = { $rule }: { $says } ({ $because })
vetoed-because = veto edildi: { $because }
alike-line = Benzeri: { $run } çalışması (uzaklık { $distance }) { $strategy } ile gitti, keep yöntemine göre kazancı bayt başına { $saved } bit
more-with-full = Dayanaklar, bütün stratejiler sayılarıyla, riskler, durumlar ve başarı ölçütleri için: --full ya da --format html.
path-is = sorulan { $strategy }
path-not = { $strategy } değil
gain-extends = Metinler uzamaz, çoğu kısalır; ne kadar kısaldığı dağarcık büyütülünce görülür (`hibrit tokenizer extend`).
why-not-line = { $strategy }: { $reason }
vetoed-by = { $strategy }: { $row } satırı veto etti ({ $because })
fired = Karar veren kurallar
rule = kural
says = dediği
says-above = yukarıdaki yararlar
because = gerekçe
input = girdi
nearly = Karar vermesine az kalan kurallar
nearly-line = { $rule } az kalsın { $output } diyecekti, ama { $input } { $value }, kuralın istediği ise { $cell }
flips = Kararı ne değiştirirdi
flips-line = { $input } { $from } yerine { $to } olsaydı: { $strategy }
flips-none = Tek bir girdinin değişmesi kararı değiştirmez.
scorer = Geçmiş çalışmaların katkısı
scorer-evidence = Puanlayıcı { $id }, geçmiş çalışmalardan { $count } kol ile büyütüldü.
scorer-changed = O olmasaydı karar başka olurdu.
scorer-unchanged = O olmasaydı da karar aynı olurdu.
scorer-path = { $strategy } için izlediği yol: { $steps }
path-below = { $feature } { $value } < { $threshold }
path-above = { $feature } { $value } ≥ { $threshold }
alike = En benzer geçmiş çalışmalar
run = çalışma
distance = uzaklık
bits-per-byte = bayt başına bit
saved = keep yöntemine göre kazanç
cost = Ne kadara mal olur
cost-line = yaklaşık { $time }, { $memory } bellek, { $disk } disk, { $tokens } eğitim tokenı.
cost-unknown = kestirilmedi; süre ve bellek için --model ve --corpus (ve --train-bytes) verin.
resources = Eldeki olanaklar
resources-line = { $count } aygıt, { $memory }; { $budget }; öncelik: { $priority }.
memory-unknown = belleği bilinmiyor
budget-none = süre sınırı yok
budget-some = en çok { $time }
priority-balanced = dengeli
priority-fastest = güvenilir en hızlı yol
priority-quality = en yüksek kalite
priority-tight = kısıtlı kaynak
priority-research = araştırma
rules-line = Kurallar { $sha }.
evidence = Dayanaklar

### Inputs of the tables, by their names there
input-coverage_vocabulary = dağarcık kapsaması
input-coverage_corpus = metin kapsaması
input-similarity = benzerlik
input-similarity_band = benzerlik bandı
input-token_ratio = özgüne göre token oranı
input-fertility_source = özgün tokenizer için sözcük başına token
input-unknown_bytes = bilinmeyen tokenlarda yiten metin payı
input-round_trip = aynen geri gelen satır payı
input-log10_parameters = model boyu (parametre sayısının log10 değeri)
input-log10_train_bytes = eğitim metninin boyu (bayt sayısının log10 değeri)
input-devices = aygıt sayısı
input-budget_hours = izin verilen saat
input-memory_gib = aygıt belleği (GiB)
input-priority = öncelik
input-time_share = gereken sürenin izin verilene oranı
input-memory_share = gereken belleğin eldekine oranı

### What the seed expected, and what was measured
background = Beklenen ve geçmiş çalışmalarda ölçülen
background-success = başarı: beklenen
background-loss = kayıp: beklenen
background-time = süre: beklenen
background-measured = ölçülen
background-complexity = karmaşıklık
background-resources = gereken
background-hours = { $hours } sa
background-of = { $count } denemede { $share }
background-note = Beklenen: hibrit projesinin çıkış noktası olan rapor. Ölçülen: geçmişteki { $count } çalışma; başarı, aynı metinde temel modele göre bayt başına daha az bit harcayan kullanılabilir bir modeldir. Kayıplar eşdeğer kayıptır; süreler modele ve makineye bağlıdır.
situations = Durumlar
situation-fastest = Güvenilir en hızlı yol: parallel.
situation-quality = En yüksek kalite: adaptive.
situation-tight = Kısıtlı kaynak, tek GPU: sequential; kapsama { $coverage } değerinin üstündeyse.
situation-research = Araştırma: structural.
situation-yours = { $situation } İstenen bu.
risks = Risk etkenleri
risk = risk
risk-when = ne zaman
risk-here = burada
risk-coverage = ortak dağarcık az
risk-coverage-when = kapsama < { $limit }
risk-explosion = gradyan patlaması
risk-explosion-when = norm > { $limit }
risk-memory = bellek yetmezliği
risk-memory-when = model ve yığınları sığmıyor
risk-instability = kararsız eğitim
risk-instability-when = sıçrama, ıraksama
risk-seen = geçmiş çalışmalarda { $count } kez görüldü
criteria = Başarı ölçütleri
criteria-excellent = mükemmel: eşdeğer kayıp < { $limit }
criteria-good = iyi: eşdeğer kayıp < { $limit }
criteria-minimum = asgari: eşdeğer kayıp < { $limit }
criteria-note = Tokenizer değişse de karşılaştırılabilen eşdeğer kayıp üzerinden; düzeyler veridir, rules/levels.toml dosyasında durur.
chart-utility = Stratejilerin beklenen yararı, varsa aralığıyla
chart-utility-axis = keep yöntemine göre kazanılan bayt başına bit
chart-losses = Eşdeğer kayıp: her stratejiden beklenen aralık, geçmiş çalışmalarda ölçüldüyse bir nokta
chart-position = Bu durumun ilk matristeki yeri; boş gözde daha temkinli komşu karar verir
chart-coverage = kapsama
chart-similarity = benzerlik
chart-here = bu durum
band-low = düşük
band-medium = orta
band-high = yüksek
chart-matches = Adayın tokenları nasıl eşleşiyor, dağarcıktaki paylarıyla
chart-matches-text = Adayın tokenları nasıl eşleşiyor, metindeki paylarıyla
chart-fertility = Sözcük başına token

### Run
run-title = Çalışma { $id }
run-answer = { $strategy }: bayt başına bit { $change ->
    [better] { $before } iken { $after } oldu
    [worse] { $before } iken { $after } oldu, yani kötüleşti
   *[same] { $after } olarak kaldı
} (eşdeğer kayıp { $loss-before } → { $loss-after }).
run-answer-after = { $strategy }: sonunda bayt başına bit { $after } (eşdeğer kayıp { $loss-after }).
run-answer-failed = { $strategy } kullanılabilir bir model vermedi.
run-answer-open = Çalışma henüz bitmedi.
run-answer-interrupted = Çalışma yarıda kesildi; o ana dek öğrenilenler dalların klasöründe duruyor.
run-level = Düzey: { $level }.
run-against-keep = Aynı metin ve bütçeyle keep yöntemine göre bayt başına { $amount } bit { $change ->
    [better] daha iyi
   *[worse] daha kötü
}.
run-is-keep = keep yöntemine göre yitirilen bir şey yok: bu zaten keep.
run-against-nothing = Yanında keep çalıştırılmadı, bu yüzden ölçüt yok.
run-decided = Karar: { $strategy }, güven { $confidence }. { $because }
run-tried = Karar { $strategy } idi; denenen { $other } oldu.
run-forced = Karar ne olursa olsun { $strategy } istendi.
run-otherwise = Karar { $strategy } idi; ortaya çıkan { $other } oldu.
branches = Kollar
branch = kol
tokenizer = tokenizer
status = bitiş
before = önce
after = sonra
loss = eşdeğer kayıp
raw-loss = ham kayıp (*)
time = süre
trained = eğitilen
raw-loss-note = (*) Kullanılan tokenizer için token başına kayıp: başka bir tokenizer ile karşılaştırılamaz. Bayt başına bit ve eşdeğer kayıp karşılaştırılabilir.
evaluated-on = Ölçülen: ayrılmış { $count } belge, { $bytes }.
unknown-charged = Metnin { $percent } kadarı bilinmeyen tokenlarda yitti ve bayt başına 8 bit sayıldı ({ $branch }).
failure-line = { $branch } kolu başarısız oldu: { $reason }
curve = Öğrenme eğrisi, ayrılmış metinde bayt başına bit
curve-train = Öğrenme eğrisi, eğitim sırasında bayt başına bit
curve-axis = görülen eğitim metni (bayt)
incidents = Olaylar
incident-count = olay
incident-line = adım { $step }, { $branch }: { $kind }: { $detail }; { $directive }
incidents-none = Ters giden bir şey olmadı.
directive-continue = sürdürüldü
directive-skip = yığın atlandı
directive-adjust = öğrenme hızı { $factor } ile çarpıldı
directive-rewind = { $steps } adım geri dönüldü
directive-stop = durduruldu
directive-switch = { $strategy } stratejisine geçildi
directive-fallback = özgün tokenizer kullanımına dönüldü
files = Dosyaların yeri
files-run = çalışma
files-model = ortaya çıkan model
next = Sırada ne var
status-done = bitti
status-stopped = erken durduruldu
status-failed = başarısız
status-interrupted = yarıda kesildi
status-running = sürüyor
level-excellent = mükemmel
level-good = iyi
level-minimum = asgari
level-failed = asgarinin altında
feedback = Söylenenler
feedback-line = { $at }: { $said }
feedback-verdict = yargı { $verdict }
request = Ne istendi
request-line = Model { $model }, aday { $candidate }, { $bytes } eğitim metni, tohum { $seed }, aygıt { $device }.
request-total = Toplam süre: { $total }.

### History
decisions-title = Kararlar
decisions-empty = Henüz kayıtlı karar yok. `hibrit decide`, `hibrit auto` ve `hibrit run` kararlarını kaydeder.
decisions-count = { $count } karar. `hibrit history decisions ID` birini bütünüyle gösterir.
decision-id = karar no
pair = tokenizerlar
confidence = güven
rules-short = kurallar
scorer-short = puanlayıcı
became = ne oldu
became-advice = yalnızca öneri
became-of = { $strategy }, { $status }, keep yöntemine göre { $saved } bit/bayt
became-open = { $id } çalışması bitmedi
became-lost = { $id } çalışması bu geçmişte yok
logged = Kayıt
logged-line = { $id }, { $at }, hibrit { $version }; seçilen: { $taken }, olasılığı { $propensity }.
history-title = Geçmiş
history-empty = Henüz çalışma yok. `hibrit demo` birkaç dakikada bir tane yapar.
history-count = { $count } çalışma.
started = başlangıç
level = düzey
compare-title = Çalışmalar yan yana
decided = karar
came-out = sonuç
training-text = eğitim metni
base = eğitimden önce

// SPDX-License-Identifier: Apache-2.0

package detector

import "strings"

// hintWords are the words that say something, in keys and in texts before a value, in lower case. They are English, German, French,
// Spanish, Portuguese, Italian, Dutch, the Nordic languages, Polish, Czech, Turkish, Russian, Japanese, Chinese and Korean.
//
// Some say it in keys only, or in texts only: a key "call" or "message" has anything, while "call 5551234567" has a number, and "at" ends
// the name of a time ("created_at") but not what stands before one.
//
//nolint:misspell // they are of many languages
var hintWords = func() map[string]Hint {
	words := map[string]Hint{}
	add := func(h Hint, list string) {
		for _, w := range strings.Fields(list) {
			words[w] |= h
		}
	}
	add(hintEmail, `email mail emails courriel correo mailto почта пошта メール 邮箱 邮件 이메일 อีเมล ईमेल بريد`)
	add(hintPhone, `phone phones telephone tel tél tels telno telefon telefono teléfono telefone telefonu téléphone telefoon fono puhelin puhelinnumero puh
		mobile mobil mobilnummer mobiltelefon mobiele mobiel mobielnummer móvil movil móviles celular cel celulare cellulare cell cellphone handy handynummer handynr natel rufnummer fax faxnummer msisdn whatsapp viber
		festnetz festnetznummer rückrufnummer kontaktnummer durchwahl kontakttelefon kontakttel mobilfunk mobilfunknummer privatnummer
		contactnumber landline portable komórka komorka komórki gsm cep hotline phonenum tlf tlfnr tfn mob mobitel mobilni telemóvel telemovel tlm fastnet sdt sđt thoại
		телефон телефона тел моб мобильный мобільний мобилен факс факсу тлф 電話 電話番号 携帯 携帯電話 携帯番号 スマホ 固定電話 手机 手机号 手机号码 手機 手機號 手機號碼 电话 电话号 电话号码 電話號碼 聯絡電話 联系电话 座机
		전화 전화번호 휴대폰 휴대전화 연락처 핸드폰 τηλέφωνο τηλ κινητό κιν טלפון נייד פלאפון هاتف جوال موبايل تلفن موبایل فون
		โทรศัพท์ โทร มือถือ เบอร์โทร เบอร์ เบอร์โทรศัพท์ เบอร์มือถือ फ़ोन फोन मोबाइल दूरभाष ফোন মোবাইল தொலைபேசி telepon hp handphone ponsel`)
	add(hintPhone|hintInText, `sms call calling dial ring anrufen ruf anruf anrufe rückruf appeler appelez appel llama llame llamar llámame llámenos ligue ligar liga chiama chiamare chiamami bel bellen
		ringa ringe zadzwoń zadzwon dzwoń ara arayın callback reach erreichbar erreichen joindre joignable contact contacto contacter contactar kontakt bereikbaar raggiungibile звоните позвоните 致电 拨打 打电话 ☎ zavolejte volejte soita`)
	add(hintCard, `card cards cc ccn creditcard debitcard cardnumber cardno pan ccnumber ccnum kreditkarte kreditkartennummer kartennummer karte tarjeta carte cartão cartao carta
		creditcardnumber karta kartı visa mastercard amex maestro unionpay kreditkort kortnummer kort карта карты カード クレジットカード カード番号 信用卡 银行卡 卡号 카드 카드번호 신용카드
		karty karet kartě kartu kartou kartami kartę kartą kart kartın kartım kartımı kartımdan kartımla karttan kartından kortet kortets kortti kortin kortilla kártya kártyám kártyaszám bankkártya
		carduri cardul cardului карте карту картой картки картку картою כרטיס بطاقة कार्ड บัตรเครดิต thẻ kartu πιστωτική κάρτα κάρτας κάρτασ tarjetas cartões bankkarte bankkort creditkaart bankkaart betaalkaart`)
	add(hintIBAN, `iban bankaccount kontoverbindung bankverbindung`)
	add(hintNationalID, `ssn nino cpf curp dni bsn pesel personnummer fødselsnummer fodselsnummer fodselsnr personnr hetu henkilötunnus henkilotunnus cpr
		steueridnr steuerid idnr identifikationsnummer steuernummer sozialversicherungsnummer svnr svnummer ahv insee codicefiscale aadhaar aadhar pancard rodnecislo rodné rodne
		tckn tckimlik kimlik snils инн снилс jmbg oib egn егн emšo emso αμκα amka рнокпп іпн kennitala cnp
		burgerservicenummer sofinummer rijksregisternummer rijksregister versicherungsnummer samordningsnummer personbeteckning steueridentifikationsnummer personnummeret nric isikukood personaskods rut cuit cuil cedula cédula rrn nric mykad
		nationalid personalid socialsecurity socialsecuritynumber identitycard idcard 身份证 身份证号 身份证号码 身份證 マイナンバー 個人番号 주민등록번호 주민번호`)
	add(hintNationalID|hintInKeys, `sin nin nie nif nir cf inn fin cnp fiscale`)
	add(hintOwner, `customer customers client clients user users account subscriber patient employee supplier vendor student guest kunde kunden kundin mitarbeiter cliente clientes clienti client klant klanten kund klient klienta klienci
		zákazník zákazníka zákaznické zákaznický müşteri asiakas asiakkaan ügyfél клиент клиента клиентский клієнт お客様 顧客 客户 客戶 고객 ลูกค้า khách`)
	add(hintProduct, `windows macos osx ios ipados android linux ubuntu debian fedora redhat rhel centos suse harmonyos chromeos watchos tvos freebsd solaris outlook acrobat opera chromium webkit gecko
		java jdk jre dotnet nodejs python php openssl openssh bios uefi directx vulkan cuda`)
	add(hintPerson, `national tax personal identity social citizen resident government gov fiscal steuer identité identidad identificación identificacion taxpayer personne`)
	add(hintIP, `ip ips ipv ipaddress ipaddr remoteip clientip sourceip srcip dstip xff forwarded ipadresse`)
	add(hintMAC, `mac bssid macaddress macaddr hwaddr hwaddress`)
	add(hintSecret, `secret secrets token tokens apikey accesskey secretkey privatekey bearer credential credentials authtoken jwt authorization`)
	add(hintAuth, `api access private auth signing encryption authentication twilio`)
	add(hintPassword, `password passwd pwd pass passwort kennwort contraseña contrasena motdepasse senha wachtwoord lösenord hasło haslo heslo пароль パスワード 密码 密碼 비밀번호 passphrase`)
	add(hintCoordinates, `lat latitude lon lng longitude latlng latlon lonlat coord coords coordinate coordinates geo gps geolocation geopoint koordinaten breitengrad längengrad laengengrad
		latitud longitud coordonnées coordonnees coordenadas latitudine longitudine 纬度 经度 緯度 経度 坐标 座標 широта долгота координаты 위도 경도`)
	add(hintCoordinates|hintInKeys, `long location position`)
	add(hintBirth, `birth birthdate birthday dob born bday dateofbirth geburtsdatum geburtstag geboren geb nacimiento fechanacimiento nacido nacida nací nació nascimento nascido nascida nasci nasceu naissance né née nascita
		geboortedatum fødselsdato fodselsdato født fodt födelsedatum född syntymäaika syntynyt urodzenia urodzony urodzona narození narozen narozena doğum dogum dogumtarihi рождения родился родилась
		生年月日 誕生日 出生日期 生日 出生 生まれ 생년월일 생일 γέννησης született születési`)
	add(hintBirth|hintInText, `nato nata doğumlu`)
	add(hintWallet, `wallet walletaddress wallets btc bitcoin eth ethereum ether crypto usdt usdc tron litecoin ltc dogecoin doge xrp ripple cardano solana monero`)

	add(hintIdentifier|hintID, `id ids uuid guid ulid ksuid hash sha md digest checksum etag ref reference fingerprint signature cursor nonce idempotency correlation pk fk rowid oid objectid seq sequence serial gid pid tid uid
		referenz referencia référence riferimento identifier identificador sig hmac crc oid oids 识别码 识别号`)
	add(hintIdentifier|hintID|hintInKeys, `key`)
	add(hintIdentifier, `order orders bestellung bestellnummer bestellnr auftrag auftragsnummer auftragsnr commande pedido ordine encomenda zamówienie zamowienie заказ заказа 注文 订单 订单号 訂單 주문 주문번호
		invoice invoices rechnung rechnungsnummer rechnungsnr facture factura fattura fatura faktura счет счёт 発票 发票 receipt receipts beleg belegnummer
		trace span request session transaction txn tran transactions transaktion checkout cart basket batch job jobs revision rev
		sku skus ean gtin upc isbn issn asin mpn imei imsi iccid part partno artikel artikelnummer artikelnr article item product produkt produktnummer model modell barcode vin plate
		tracking trackingnumber shipment parcel sendung sendungsnummer paket paketnummer consignment waybill awb container lot booking reservation buchung buchungsnummer réservation reserva pnr confirmation
		kundennummer kundennr customerno member membership mitgliedsnummer kontonummer policy policyno contract vertrag vertragsnummer vertragsnr voucher coupon gutschein giftcard
		device visitor anonymous campaign adgroup pixel click clid gclid fbclid cid aid bid sid rid cookie ga row pod container host node image instance
		aktenzeichen aktennummer vorgang vorgangsnummer dossier expediente protocolo processo
		colis colissimo paquete pacote pacco pacchi plico kargo gönderi suivi rastreio rastreamento seguimiento spedizione sendung zending pakket pakketje försändelse spårning sporing takip paczka paczki paczkę zásilka zásilky zásilku
		balík balíku balíček przesyłka przesyłki przesyłkę посылка посылки трек 荷物 追跡 追跡番号 伝票 伝票番号 快递 快递单号 运单 运单号 包裹 單號 单号 택배 송장 운송장 พัสดุ vận
		contrat contrato contratto smlouva smlouvy smlouvu umowa umowy umowę sözleşme avtal aftale kontrakt договор договора договір 契約 契約番号 合同 合同号 계약 zählernummer zähler karton
		objednávka siparis encomendas bestellingen registration matricula matrícula immatriculation targa licence license serie série`)
	add(hintIdentifier|hintInText, `ticket tickets case incident issue pr commit task line fall segment file document record tx pn art`)
	add(hintNumber, `price prices amount amounts total totals subtotal sum cost costs revenue value quantity qty count counts discount balance fee fees rate ratio percent percentage score scores weight height width
		length size bytes volume area distance speed latency temperature pressure population inventory stock points salary budget limit offset index rank level page
		preis betrag summe menge anzahl prix montant somme quantité precio importe cantidad preço valor quantidade prezzo importo prijs bedrag aantal cena kwota ilość цена сумма количество 価格 金額 价格 金额 数量 가격 금액
		fiyat tutar částka kwoty
		eur usd gbp chf jpy cny inr euro euros dollar dollars pounds pixels px ms ns us bytes kb mb gb kg km seconds minutes views followers`)
	add(hintNumber|hintInKeys, `x y z`)
	add(hintTime, `ts timestamp timestamps datetime epoch expires expiry expiration expired deadline duration ttl uptime horodatage iat nbf`)
	add(hintTime|hintInKeys, `at time times date dates day month year created updated modified since until uhrzeit datum zeit zeitpunkt fecha hora heure tarih дата время 日付 日期 时间 時間 시간 날짜 eta exp`)
	add(hintVersion, `version versions ver release releases firmware build builds sdk useragent browser chrome firefox safari driver os kernel bios versión versiones versão versões versione versioni versie versies versio versionen versjon
		verze verzi verzí verzia verzie verzió verziója verziju wersja wersji wersję wersją sürüm sürümü sürümünde sürümüne sürümden версия версии версию версией версія версії έκδοση versiune versiunea
		バージョン 版本 版本号 버전 เวอร์ชัน semver v rv snmp asn oid oids`)
	add(hintVersion|hintInText, `upgraded downgraded section sections chapter clause paragraph appendix annex figure table rfc rfcs spec abschnitt kapitel ziffer absatz anhang abbildung capítulo sección apartado sezione capitolo paragrafo seção
		hoofdstuk paragraaf bijlage rozdział paragraf kapitola oddíl bölüm madde avsnitt раздел пункт глава rozdziału kapitoly 章 節`)
	add(hintVersion|hintInKeys, `agent platform tag`)
	add(hintNeutral|hintCounted, `number numbers no nr num nummer numero número numéro numer číslo номер номера 番号 号码 號碼 번호 αριθμός מספר رقم नंबर หมายเลข nomor số broj`)
	add(hintNeutral, `numaralı numarası numaram numarasını numerem číslem čísla nº nummeret nummern numărul`)
	add(hintNeutral|hintCode, `code codice código kód kod`)
	add(hintNeutral, `address addr value text string raw primary secondary home work business office private main default digits field input formatted
		full old new current previous alt alternative`)
	add(hintMine, `my our his her their your meine meiner unsere deine ihre seine ma mon votre notre sa son mi su nuestro tu mio mia suo minha meu sua min mitt vår mijn onze moje mój
		мой наш`)
	// What says something is no neutral word: "value" and "text" say it in keys, and their other meaning stays.
	return words
}()

// hintStems are what words begin with in languages that decline, compound or both.
var hintStems = func() map[string]Hint {
	stems := map[string]Hint{}
	add := func(h Hint, list string) {
		for _, w := range strings.Fields(list) {
			stems[w] = h
		}
	}
	add(hintPhone, `telefon teléfon telefón téléphon telephon telefoon telemóv handynum mobilnum komórk komork puhelin matkapuhelin телефон мобильн мобільн τηλέφων τηλεφών κινητο`)
	add(hintCard, `kreditkar kreditkor kreditk`)
	add(hintBirth, `narodi narozen urodz geboren doğum født född fødsel födel født syntyn születé рожден родил родив народж γεννήθ`)
	add(hintVersion, `sürüm верси версі`)
	add(hintIdentifier, `bestell beställ bestill objednáv zamówi zamowi sipariş заказ замовл rendelés tilauk naročil narudžb comenzi przesył zásilk sendung`)
	return stems
}()

// stemFilter has bit [third] of [first][second] for the letters that stems begin with.
var stemFilter = func() (filter [32][32]uint32) {
	for w := range hintStems {
		filter[w[0]&31][w[1]&31] |= 1 << (w[2] & 31)
	}
	return filter
}()

// unitWords are what stands after an amount, and are no hint before a number: some are words of other languages.
var unitWords = func() map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(`kč zł czk pln sek nok dkk huf bgn uah brl mxn aud cad nzd sgd hkd krw kr ft lei leu kn tl din rsd ден лв грн руб р ₽ đ vnd baht บาท rupees rs yen yuan won złotych korun kronor kroner forint lir lira liras pesos reais rublů
		mah wh kwh mb gb kb tb gib mib kib hz khz mhz ghz fps rpm dpi ppi px mm cm km kg mg ml ms ns us sec items pieces pcs stück stk ks szt adet rows zeilen lignes filas righe rijen řádků wierszy satır rader
		users people visitors views times votes followers subscribers downloads steps words characters points miles metres meters feet`) {
		all[w] = true
	}
	return all
}()

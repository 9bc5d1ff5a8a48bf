Wäõ¤Ç½KYE‚d\9tÌY¹çËçƒØks;%pGk?®¾	ê•FûiZ}TØx&W<¬KÖ‘U¥e
{